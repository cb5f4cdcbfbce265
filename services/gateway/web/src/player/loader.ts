// The loader hls.js asks for playlists and segments: it takes what was fetched early, goes over to
// another gateway when one fails, and sits out short outages, so that hls.js sees an error only when
// there is something for it to do.
import Hls, {
  type HlsConfig,
  type Loader,
  type LoaderCallbacks,
  type LoaderConfiguration,
  type LoaderContext,
  type LoaderStats,
} from "hls.js";
import { delayMs } from "../api/backoff";
import { answeredFrom, FirstBytes } from "./abr";
import type { Gateways } from "./gateways";
import { hasFetched, takeFetched } from "./prefetch";
import { afterFailure } from "./retry";

export interface LoaderEvents {
  /** A gateway answered. */
  reached(): void;
  /** No gateway could be reached, or all refused to serve. */
  unreachable(): void;
  /** A playlist came: told before hls.js sees it. */
  playlist(text: string): void;
}

type InnerLoader = Loader<LoaderContext>;

/** A loader class for hls.js that is bound to the gateways. */
export function loaderFor(
  gateways: Gateways,
  events: LoaderEvents,
): { new (config: HlsConfig): Loader<LoaderContext> } {
  const firstBytes = new FirstBytes();
  return class GatewayLoader implements Loader<LoaderContext> {
    context: LoaderContext | null = null;
    stats: LoaderStats;
    #inner: InnerLoader;
    #done = false;
    #timer: ReturnType<typeof setTimeout> | undefined;

    constructor(readonly config: HlsConfig) {
      this.#inner = new Hls.DefaultConfig.loader(config);
      this.stats = this.#inner.stats;
    }

    load(
      context: LoaderContext,
      configuration: LoaderConfiguration,
      callbacks: LoaderCallbacks<LoaderContext>,
    ): void {
      this.context = context;
      if (context.responseType !== "arraybuffer" && hasFetched(context.url)) {
        void this.#loadFetched(context, configuration, callbacks);
      } else {
        this.#attempt(context.url, 0, performance.now(), configuration, callbacks);
      }
    }

    abort(): void {
      this.#done = true;
      clearTimeout(this.#timer);
      this.#inner.abort();
    }

    destroy(): void {
      this.#done = true;
      clearTimeout(this.#timer);
      this.#inner.destroy();
      this.context = null;
    }

    getCacheAge = (): number | null => this.#inner.getCacheAge?.() ?? null;

    getResponseHeader = (name: string): string | null => this.#inner.getResponseHeader?.(name) ?? null;

    async #loadFetched(
      context: LoaderContext,
      configuration: LoaderConfiguration,
      callbacks: LoaderCallbacks<LoaderContext>,
    ): Promise<void> {
      const found = await takeFetched(context.url);
      if (this.#done) return;
      if (!found) {
        this.#attempt(context.url, 0, performance.now(), configuration, callbacks);
        return;
      }
      const { stats } = this;
      stats.loading = { start: found.startMs, first: found.firstMs, end: found.endMs };
      stats.loaded = stats.total = found.text.length;
      events.reached();
      events.playlist(found.text);
      callbacks.onSuccess({ url: found.url, data: found.text, code: 200 }, stats, context, null);
    }

    #attempt(
      url: string,
      attempt: number,
      firstTriedMs: number,
      configuration: LoaderConfiguration,
      callbacks: LoaderCallbacks<LoaderContext>,
    ): void {
      const context = this.context;
      if (!context) return;
      const origin = gateways.current;
      const failed = (status: number, give: () => void): void => {
        if (this.#done) return;
        const next = afterFailure({
          status,
          attempt,
          gateways: gateways.count,
          triedMs: performance.now() - firstTriedMs,
          hasDirectives: /[?&]_HLS_/.test(url),
        });
        if (next.gatewayFailed) gateways.failed(origin, performance.now(), status !== 503);
        if (next.outage) events.unreachable();
        else if (status > 0) events.reached();
        if (next.then === "give up") {
          give();
          return;
        }
        const again = next.then === "ask plainly" ? withoutDirectives(url) : url;
        this.#timer = setTimeout(
          () => {
            this.#renewInner();
            this.#attempt(again, attempt + 1, firstTriedMs, configuration, callbacks);
          },
          next.waitMs === 0 ? 0 : delayMs(0, { firstMs: next.waitMs, greatestMs: next.waitMs }),
        );
      };
      this.#inner.load({ ...context, url: gateways.at(url) }, withoutRetries(configuration), {
        onSuccess: (response, stats, _context, details) => {
          events.reached();
          response.url = gateways.homeOf(response.url);
          if (typeof response.data === "string") events.playlist(response.data);
          else judgeTransfer(stats, firstBytes);
          callbacks.onSuccess(response, stats, context, details);
        },
        onError: (error, _context, details, stats) =>
          failed(error.code, () => callbacks.onError(error, context, details, stats)),
        onTimeout: (stats, _context, details) =>
          failed(0, () => callbacks.onTimeout(stats, context, details)),
        onAbort: (stats, _context, details) => callbacks.onAbort?.(stats, context, details),
      });
    }

    /** A loader of hls.js loads once; the statistics go on, since hls.js holds on to them. */
    #renewInner(): void {
      const { stats } = this;
      this.#inner.destroy();
      this.#inner = new Hls.DefaultConfig.loader(this.config);
      stats.retry += 1;
      stats.loading = { start: 0, first: 0, end: 0 };
      stats.aborted = false;
      this.#inner.stats = stats;
    }
  };
}

/** Leaves out of a transfer's time how long the gateway held the request. */
function judgeTransfer({ loading }: LoaderStats, firstBytes: FirstBytes): void {
  const fastest = firstBytes.note(loading.first - loading.start);
  loading.start = answeredFrom(loading.start, loading.first, fastest);
}

/** The playlist without delivery directives (RFC 8216bis section 6.2.5): any replica can answer that. */
function withoutDirectives(url: string): string {
  const plain = new URL(url);
  for (const name of [...plain.searchParams.keys()]) {
    if (name.startsWith("_HLS_")) plain.searchParams.delete(name);
  }
  return plain.href;
}

/** Retries are this loader's business, as it knows the gateways. */
function withoutRetries(configuration: LoaderConfiguration): LoaderConfiguration {
  return {
    ...configuration,
    loadPolicy: { ...configuration.loadPolicy, errorRetry: null, timeoutRetry: null },
  };
}
