// Everything behind the player's page: the engine, the stream's state, the gateway's clock, and what is
// reported. The page itself only shows it.
import { delayMs } from "../api/backoff";
import { askClock, bestSample, localNow, type ClockSample } from "../api/clock";
import type { StreamView } from "../api/types";
import { Updates } from "../api/updates";
import { QoeReporter } from "../qoe/reporter";
import { newSession, QoeSession } from "../qoe/session";
import { Engine, type EngineListener } from "./engine";
import { glassLatencyMs } from "./latency";

const sampleEveryMs = 1_000;
/** The first picture comes first: all else the page asks for waits for it, but not for ever. */
const othersAfterMs = 1_500;
const clockEveryMs = 60_000;
const clockBackoff = { firstMs: 1_000, greatestMs: 30_000 };

export class Watch {
  readonly engine: Engine;
  readonly qoe: QoeSession;
  /** What the gateway says of the stream: undefined until it has, null when there is none. */
  stream: StreamView | null | undefined;
  startupMs: number | null = null;
  latencyMs: number | null = null;
  #clock: ClockSample[] = [];
  #reporter: QoeReporter | null = null;
  #updates: Updates | null = null;
  #sampler: ReturnType<typeof setInterval>;
  #clockTimer: ReturnType<typeof setTimeout> | undefined;
  #begun: ReturnType<typeof setTimeout>;
  /** A page opened in a hidden tab gets its first picture when it is looked at: that is no start-up time. */
  #alwaysVisible = !document.hidden;
  #destroyed = false;

  constructor(
    readonly streamId: string,
    video: HTMLVideoElement,
    still: HTMLCanvasElement,
    readonly changed: () => void,
  ) {
    this.qoe = new QoeSession(streamId, newSession(), performance.now());
    const listener: EngineListener = {
      changed: () => this.changed(),
      firstPicture: (nowMs) => this.#onFirstPicture(nowMs),
      playing: (nowMs) => this.qoe.become("playing", nowMs),
      stalled: (nowMs) => this.qoe.become("stalled", nowMs),
      paused: (nowMs) => this.qoe.become("idle", nowMs),
      switched: () => this.qoe.switched(),
      failed: () => this.qoe.failed(),
      failedOver: (times) => this.qoe.failedOver(times),
    };
    this.engine = new Engine(video, still, streamId, listener);
    this.#sampler = setInterval(() => this.#sample(), sampleEveryMs);
    this.#begun = setTimeout(() => this.#begin(), othersAfterMs);
  }

  destroy(): void {
    this.#destroyed = true;
    clearInterval(this.#sampler);
    clearTimeout(this.#begun);
    clearTimeout(this.#clockTimer);
    this.#reporter?.stop();
    this.#updates?.stop();
    this.engine.destroy();
  }

  #onFirstPicture(nowMs: number): void {
    this.startupMs = this.#alwaysVisible && !document.hidden ? nowMs : null;
    this.qoe.firstPicture(this.startupMs);
    clearTimeout(this.#begun);
    this.#begin();
    this.changed();
  }

  #begin(): void {
    if (this.#updates || this.#destroyed) return;
    this.#updates = new Updates({
      streams: (streams) => {
        this.stream = streams.get(this.streamId) ?? null;
        this.qoe.uid = this.stream?.spec.uid ?? null;

        this.engine.expectLive(this.stream?.phase === "live");
        this.changed();
      },
      connected: () => this.changed(),
    });
    this.#reporter = new QoeReporter(() => {
      const level = this.engine.levels[this.engine.currentLevel];
      this.qoe.height = level?.height || null;
      this.qoe.bandwidth = level?.bitrate || null;
      return this.qoe.take(performance.now(), Date.now());
    });
    void this.#setClock(3, 0);
  }

  /** Takes a few samples, then one now and then: clocks drift, and gateways come and go. */
  async #setClock(samplesLeft: number, failures: number): Promise<void> {
    let waitMs = clockEveryMs;
    try {
      const { info, sample } = await askClock();
      this.engine.gateways.addAlternates(info.alternates ?? []);
      if (sample) this.#clock = [...this.#clock, sample].slice(-3);
      if (samplesLeft > 1) waitMs = 300;
      failures = 0;
    } catch {
      waitMs = delayMs(failures, clockBackoff);
      failures += 1;
    }
    if (this.#destroyed) return;
    this.#clockTimer = setTimeout(() => void this.#setClock(samplesLeft - 1, failures), waitMs);
  }

  #sample(): void {
    const { engine } = this;
    const offset = bestSample(this.#clock)?.offsetMs ?? null;
    this.latencyMs =
      engine.status === "playing" || engine.status === "stalled"
        ? glassLatencyMs(localNow(), offset, engine.playingDate)
        : null;
    if (engine.status === "playing" && this.latencyMs !== null) this.qoe.latency(this.latencyMs);
    this.changed();
  }
}
