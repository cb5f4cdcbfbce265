// Keeps the player near the live edge, by plain rules: how far behind it is, and how fast it should play.

/** What the rule looks at, in seconds. */
export interface Position {
  /** Distance from the live edge, as the playlist's age tells it. */
  latency: number;
  /** What that distance should be: the playlist's hold-back, and a step for each stall. */
  target: number;
  /** Media buffered ahead of the playhead. */
  ahead: number;
  /** The rate it plays at now. */
  rate: number;
}

export type Pace = { seek: false; rate: number } | { seek: true };

/** Beyond this distance from the target it jumps: catching up at 5% would take more than a minute. */
const jumpSeconds = 4;
/** Nobody hears or sees this much; more begins to sound hurried. */
const greatestCatchUp = 0.06;
const catchUpFrom = 0.15;
const catchUpTo = 0.02;
/** With less than this ahead, playing faster would only make it stall. */
const leastAhead = 0.3;
/** A nearly empty buffer is stretched a little: the next part may still come in time. */
const starving = 0.12;
const slowRate = 0.96;

/** How fast to play, or whether to jump to the live position. */
export function pace({ latency, target, ahead, rate }: Position): Pace {
  const behind = latency - target;
  if (behind > jumpSeconds) return { seek: true };
  if (ahead < starving && behind < catchUpFrom) return { seek: false, rate: slowRate };
  // Once it has begun, it goes on until it is there, so that the rate does not flutter.
  const goal = rate > 1 ? catchUpTo : catchUpFrom;
  if (behind > goal && ahead > leastAhead) {
    const rounded = Math.round((1 + Math.min(greatestCatchUp, 0.02 + behind / 20)) * 100) / 100;
    return { seek: false, rate: rounded };
  }
  // It is ahead of its place and about to starve: let the buffer grow back.
  if (behind < -0.2 || (rate < 1 && ahead < starving * 2 && behind < 0))
    return { seek: false, rate: slowRate };
  return { seek: false, rate: 1 };
}

/**
 * How far the picture is behind the camera, in milliseconds: the gateway's clock now, less the
 * time the playlist gives for the picture shown. Null when that makes no sense (a wrong clock).
 */
export function glassLatencyMs(
  localNowMs: number,
  clockOffsetMs: number | null,
  playing: Date | null,
): number | null {
  if (clockOffsetMs === null || playing === null) return null;
  const latency = localNowMs + clockOffsetMs - playing.getTime();
  return Number.isFinite(latency) && latency >= 0 && latency < 24 * 3_600_000 ? latency : null;
}

/** `1.1 s`, `12 s`, `3 min`. */
export function latencyWords(latencyMs: number | null): string {
  if (latencyMs === null) return "–";
  const seconds = latencyMs / 1000;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 90) return `${Math.round(seconds)} s`;
  return `${Math.round(seconds / 60)} min`;
}
