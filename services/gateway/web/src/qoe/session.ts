// Adds up what one viewer saw of one stream: start-up, stalls, switches, latency, time watched.
// Times come from outside, in milliseconds of one monotonic clock.

/** A record of topic `qoe`; docs/schemas/qoe-report.json is its schema. */
export interface QoeReport {
  stream: string;
  uid: string | null;
  session: string;
  sequence: number;
  from: string;
  to: string;
  player: "web";
  startupMs: number | null;
  watchedMs: number;
  stalls: number;
  stalledMs: number;
  switches: number;
  errors: number;
  failovers: number;
  latencyMs: { samples: number; least: number; mean: number; greatest: number } | null;
  height: number | null;
  bandwidth: number | null;
}

/** Less than this is left for the next report: leaving a page tells of it more than once. */
const leastMs = 50;

type State = "idle" | "playing" | "stalled";

const nothing = () => ({
  startupMs: null as number | null,
  watchedMs: 0,
  stalls: 0,
  stalledMs: 0,
  switches: 0,
  errors: 0,
  failovers: 0,
});

export class QoeSession {
  uid: string | null = null;
  height: number | null = null;
  bandwidth: number | null = null;
  #sequence = 0;
  #state: State = "idle";
  #sinceMs: number;
  #fromMs: number;
  #seen = false;
  #period = nothing();
  #latencies: number[] = [];
  /** Stalls since the beginning, for the read-out. */
  stallsInAll = 0;
  stalledMsInAll = 0;

  constructor(
    readonly stream: string,
    readonly session: string,
    openedMs: number,
  ) {
    this.#sinceMs = this.#fromMs = openedMs;
  }

  /** The first picture is on the screen; `startupMs` is null where the figure would tell nothing (a hidden tab). */
  firstPicture(startupMs: number | null): void {
    if (this.#seen) return;
    this.#seen = true;
    if (startupMs !== null) this.#period.startupMs = Math.round(startupMs);
  }

  /** Before the first picture there is no stall, only a start that takes long. */
  become(state: State, nowMs: number): void {
    if (state === "stalled" && !this.#seen) state = "idle";
    this.#settle(nowMs);
    if (state === "stalled" && this.#state !== "stalled") {
      this.#period.stalls += 1;
      this.stallsInAll += 1;
    }
    this.#state = state;
  }

  switched(): void {
    this.#period.switches += 1;
  }

  failed(): void {
    this.#period.errors += 1;
  }

  failedOver(times: number): void {
    this.#period.failovers += times;
  }

  latency(ms: number): void {
    this.#latencies.push(ms);
  }

  /** Ends the period and begins the next; null when there is nothing to tell. */
  take(nowMs: number, wallMs: number): QoeReport | null {
    this.#settle(nowMs);
    const { watchedMs, stalledMs, ...counts } = this.#period;
    const latencies = this.#latencies;
    const empty =
      watchedMs + stalledMs < leastMs &&
      counts.startupMs === null &&
      counts.stalls + counts.switches + counts.errors + counts.failovers === 0;
    if (empty) {
      if (watchedMs + stalledMs === 0) this.#fromMs = nowMs;
      return null;
    }
    const fromWallMs = wallMs - (nowMs - this.#fromMs);
    this.#fromMs = nowMs;
    this.#period = nothing();
    this.#latencies = [];
    return {
      stream: this.stream,
      uid: this.uid,
      session: this.session,
      sequence: this.#sequence++,
      from: new Date(fromWallMs).toISOString(),
      to: new Date(wallMs).toISOString(),
      player: "web",
      ...counts,
      watchedMs: Math.round(watchedMs),
      stalledMs: Math.round(stalledMs),
      latencyMs: latencies.length
        ? {
            samples: latencies.length,
            least: Math.round(Math.min(...latencies)),
            mean: Math.round(latencies.reduce((sum, ms) => sum + ms, 0) / latencies.length),
            greatest: Math.round(Math.max(...latencies)),
          }
        : null,
      height: this.height,
      bandwidth: this.bandwidth,
    };
  }

  #settle(nowMs: number): void {
    const passed = Math.max(0, nowMs - this.#sinceMs);
    if (this.#state === "playing") this.#period.watchedMs += passed;
    if (this.#state === "stalled") {
      this.#period.stalledMs += passed;
      this.stalledMsInAll += passed;
    }
    this.#sinceMs = nowMs;
  }
}

/** A random session id: 32 hexadecimal digits. */
export function newSession(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
