// When the player starts afresh, and how long it waits before: a plain decision over what happened.
import { delayMs, type Backoff } from "../api/backoff";

const backoff: Backoff = { firstMs: 300, greatestMs: 8_000 };
/** Playing for this long ends the count of attempts. */
const settledMs = 5_000;
/** A second media error within this time is more than a hiccup of the decoder. */
const mediaErrorApartMs = 5_000;
/** Standing still for this long, though the stream is live, calls for a fresh start. */
const stuckMs = 6_000;

export type MediaErrorAnswer = "recover in place" | "start afresh";

export class Recovery {
  #attempts = 0;
  #lastMediaErrorMs = -Infinity;
  #playingSinceMs: number | null = null;

  /** What to do about a fatal media error: hls.js can often go on with a new media source. */
  mediaError(nowMs: number): MediaErrorAnswer {
    const apart = nowMs - this.#lastMediaErrorMs;
    this.#lastMediaErrorMs = nowMs;
    return apart > mediaErrorApartMs ? "recover in place" : "start afresh";
  }

  /** How long to wait before the next fresh start; each call counts as a failed attempt. */
  nextDelayMs(random?: () => number): number {
    return delayMs(this.#attempts++, backoff, random);
  }

  /** Told with every tick whether it plays. */
  observe(playing: boolean, nowMs: number): void {
    if (!playing) {
      this.#playingSinceMs = null;
      return;
    }
    this.#playingSinceMs ??= nowMs;
    if (nowMs - this.#playingSinceMs >= settledMs) this.#attempts = 0;
  }

  /** Whether a player that has stood still for so long should start afresh; more patient each time. */
  isStuck(stillForMs: number): boolean {
    return stillForMs >= stuckMs * 2 ** Math.min(this.#attempts, 3);
  }
}
