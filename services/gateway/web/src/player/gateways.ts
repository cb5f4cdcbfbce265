// The gateways a player can use. Every replica serves the same bytes at the same path, so falling
// over is nothing but asking another origin: hls.js need not know.

/** A gateway that failed is only asked again at once when all others have failed since. */
interface Gateway {
  origin: string;
  failedAtMs: number;
}

export class Gateways {
  readonly home: string;
  #gateways: Gateway[];
  #current = 0;
  /** How often the player went over to another gateway because one could not be reached. */
  failovers = 0;

  constructor(home: string) {
    this.home = home;
    this.#gateways = [{ origin: home, failedAtMs: -Infinity }];
  }

  get current(): string {
    return this.#gateways[this.#current]!.origin; // `#current` always points into the list
  }

  get count(): number {
    return this.#gateways.length;
  }

  /** Takes the origins of the other gateways; what is not an http(s) origin is left out. */
  addAlternates(alternates: readonly string[]): void {
    for (const alternate of alternates) {
      let url: URL;
      try {
        url = new URL(alternate);
      } catch {
        continue;
      }
      if (!/^https?:$/.test(url.protocol) || this.#gateways.some(({ origin }) => origin === url.origin)) {
        continue;
      }
      this.#gateways.push({ origin: url.origin, failedAtMs: -Infinity });
    }
  }

  /** The address of `url` (of the home origin) at the gateway in use. */
  at(url: string): string {
    return url.startsWith(`${this.home}/`) ? this.current + url.slice(this.home.length) : url;
  }

  /** The home address of `url`, whichever gateway it names: playlists resolve their addresses against it. */
  homeOf(url: string): string {
    const gateway = this.#gateways.find(({ origin }) => url.startsWith(`${origin}/`));
    return gateway ? this.home + url.slice(gateway.origin.length) : url;
  }

  /**
   * Notes that a gateway failed and goes over to the one whose failure lies furthest back.
   * Several requests may fail at once: only the first of them moves on. One that is there but has nothing
   * to serve just now is left as well, which does not count as a failover.
   */
  failed(origin: string, nowMs: number, unreachable = true): void {
    const failed = this.#gateways.find((gateway) => gateway.origin === origin);
    if (!failed) return;
    failed.failedAtMs = nowMs;
    if (origin !== this.current || this.#gateways.length === 1) return;
    let next = this.#current;
    this.#gateways.forEach((gateway, index) => {
      if (gateway.failedAtMs < this.#gateways[next]!.failedAtMs) next = index;
    });
    if (next !== this.#current) {
      this.#current = next;
      if (unreachable) this.failovers += 1;
    }
  }
}
