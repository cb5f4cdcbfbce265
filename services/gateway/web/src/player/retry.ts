// What a request that failed does next: a plain decision.

export interface Failure {
  /** HTTP status; 0: no answer, or none in time. */
  status: number;
  /** How many tries of this request failed before this one. */
  attempt: number;
  /** How many gateways there are to ask. */
  gateways: number;
  /** Since the first try, in milliseconds. */
  triedMs: number;
  /** Whether the address asks for a playlist that may not exist yet (`_HLS_msn`, `_HLS_part`, `_HLS_skip`). */
  hasDirectives: boolean;
}

export interface Next {
  then: "ask again" | "ask plainly" | "give up";
  waitMs: number;
  /** The gateway that was asked is not to be asked next. */
  gatewayFailed: boolean;
  /** No gateway can be reached: the viewer should be told if this lasts. */
  outage: boolean;
}

/** After this, hls.js is told. It retries as well, and the engine watches over both. */
const patienceMs = 12_000;

export function afterFailure(failure: Failure): Next {
  const { status, attempt, gateways, triedMs, hasDirectives } = failure;
  // No answer, or one that says that this gateway cannot serve: 503 may also mean "held too long".
  const gatewayFailed = status === 0 || status >= 500;
  if (!gatewayFailed) {
    // A replica that lags behind refuses what lies too far ahead of it with 400.
    const plainly = status === 400 && hasDirectives && attempt < 2;
    return { then: plainly ? "ask plainly" : "give up", waitMs: 0, gatewayFailed, outage: false };
  }
  // Held too long is no outage: the gateway is there, the next part is not.
  const outage = status !== 503 && attempt + 1 >= gateways;
  if (triedMs >= patienceMs) return { then: "give up", waitMs: 0, gatewayFailed, outage };
  // Another gateway is asked at once; when all have failed, in ever longer steps.
  const round = Math.floor((attempt + 1) / gateways);
  const waitMs = (attempt + 1) % gateways !== 0 ? 0 : Math.min(2_000, 100 * 2 ** Math.min(round - 1, 10));
  return { then: "ask again", waitMs, gatewayFailed, outage };
}
