// How long to wait before trying again.

export interface Backoff {
  /** Before the second try, in milliseconds. */
  firstMs: number;
  /** No wait is longer than this. */
  greatestMs: number;
}

/**
 * Doubles with each failed attempt (counted from 0), and takes off up to half at random, so that
 * the viewers of a gateway that came back do not all knock in the same instant.
 */
export function delayMs(attempt: number, backoff: Backoff, random: () => number = Math.random): number {
  // 2^30 would already be beyond any sensible bound; larger shifts would overflow to Infinity.
  const full = Math.min(backoff.greatestMs, backoff.firstMs * 2 ** Math.min(attempt, 30));
  return Math.round(full * (1 - random() / 2));
}
