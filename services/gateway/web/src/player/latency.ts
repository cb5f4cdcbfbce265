// Keeps the player near the live edge, by plain rules: how far behind it is, and how fast it should play.

/** What the rule looks at, in seconds. */
export interface Position {
  /** Distance from the live edge, as the playlist's age tells it. */
  latency: number;
  /** What that distance should be: the playlist's hold-back, and the cushion. */
  target: number;
  /** Media buffered ahead of the playhead. */
  ahead: number;
  /** The rate it plays at now. */
  rate: number;
  /** How far behind the target it may be before it jumps. */
  jumpFrom: number;
}

export type Pace = { seek: false; rate: number } | { seek: true };

/** Nobody hears or sees this much; more begins to sound hurried. */
const greatestCatchUp = 0.06;
const catchUpFrom = 0.15;
const catchUpTo = 0.02;
/** With less than this ahead, playing faster would only make it stall. */
const leastAhead = 0.3;
const slowRate = 0.96;
const slowFrom = -0.08;
const slowTo = -0.02;

/** How fast to play, or whether to jump to the live position. */
export function pace({ latency, target, ahead, rate, jumpFrom }: Position): Pace {
  const behind = latency - target;
  // A short jump is worth it only where nothing has to be loaded for it.
  if (behind > jumpFrom && (behind > jumpSoon || ahead - behind > leastAhead)) return { seek: true };
  // Once it has begun, it goes on until it is there, so that the rate does not flutter.
  if (behind > (rate > 1 ? catchUpTo : catchUpFrom) && ahead > leastAhead) {
    const rounded = Math.round((1 + Math.min(greatestCatchUp, 0.02 + behind / 20)) * 100) / 100;
    return { seek: false, rate: rounded };
  }
  if (behind < (rate < 1 ? slowTo : slowFrom)) return { seek: false, rate: slowRate };
  return { seek: false, rate: 1 };
}

/** The distance from the live edge that a low-latency playlist asks for (RFC 8216bis section 4.4.3.8), in seconds. */
export function partHoldBack(playlist: string): number | null {
  const seconds = /^#EXT-X-SERVER-CONTROL:.*\bPART-HOLD-BACK=([\d.]+)/m.exec(playlist)?.[1];
  return seconds === undefined ? null : Number(seconds);
}

/** On a sound line it jumps from here on: catching up at 6% would take half a minute. */
const jumpSoon = 1.5;
/** On a line that stalls soon after a jump, it jumps from here on at the most. */
const jumpLate = 4;
/** A stall so soon after a jump was made by the jump: the line does not bear being so close to the edge. */
const jumpBlamedMs = 15_000;
/** After a stall it waits to see that media comes in again. */
const jumpAfterStallMs = 1_500;
/** Loading the first media took time, and right after the first picture a small jump disturbs nobody. */
const jumpAtStart = 0.25;
const startMs = 2_500;
/** As long as this without a stall, and a line counts as sound again. */
const jumpSoundMs = 60_000;

/**
 * How far behind the target a player jumps rather than catches up. What was lost at the start, or by a
 * single hiccup, is won back at once; a line that stalls again and again is not made to by jumps.
 */
export class Jumps {
  #from = jumpSoon;
  #begunAtMs = -Infinity;
  #jumpedAtMs = -Infinity;
  #stalledAtMs = -Infinity;

  /** In seconds; no jump at all right after a stall. */
  from(nowMs: number): number {
    const calmMs = nowMs - this.#stalledAtMs;
    if (calmMs < jumpAfterStallMs) return Infinity;
    if (calmMs >= jumpSoundMs) this.#from = jumpSoon;
    const starting = nowMs - this.#begunAtMs < startMs && this.#jumpedAtMs < this.#begunAtMs;
    return starting ? jumpAtStart : this.#from;
  }

  /** The first picture is on the screen, or the first one after a fresh start. */
  begun(nowMs: number): void {
    this.#begunAtMs = nowMs;
  }

  jumped(nowMs: number): void {
    this.#jumpedAtMs = nowMs;
  }

  stalled(nowMs: number): void {
    this.#stalledAtMs = nowMs;
    if (nowMs - this.#jumpedAtMs < jumpBlamedMs) this.#from = Math.min(jumpLate, this.#from * 2);
  }
}

/** When the buffer runs this low, the next late part would make it stall, in seconds. */
const dangerAhead = 0.3;
const dangerStep = 0.15;
const stallStep = 0.25;
const greatestCushion = 1;
/**
 * Never less than two parts: the hold-back alone is used up by one late part and one busy moment of the
 * machine. With a part and a quarter, two busy cores made it stall about once a minute.
 */
const leastCushion = 0.4;
/** The line has to be calm for this long before the cushion is taken back, a little at a time. */
const calmMs = 4_000;
const calmStep = 0.04;
/** A line that is already known to be bad is not asked about it more often than this. */
const dangerApartMs = 1_000;

/**
 * Extra distance from the live edge for lines and machines that deliver unevenly: it grows when the
 * buffer nearly runs dry, and shrinks to its least while all is calm.
 */
export class Cushion {
  #seconds = leastCushion;
  #changedAtMs: number;

  constructor(nowMs: number) {
    this.#changedAtMs = nowMs;
  }

  get seconds(): number {
    return this.#seconds;
  }

  observe(ahead: number, nowMs: number): void {
    const sinceMs = nowMs - this.#changedAtMs;
    if (ahead < dangerAhead && sinceMs >= dangerApartMs) this.#change(dangerStep, nowMs);
    else if (ahead >= dangerAhead && sinceMs >= calmMs) this.#change(-calmStep, nowMs);
  }

  stalled(nowMs: number): void {
    this.#change(stallStep, nowMs);
  }

  #change(by: number, nowMs: number): void {
    this.#seconds = Math.min(greatestCushion, Math.max(leastCushion, this.#seconds + by));
    this.#changedAtMs = nowMs;
  }
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
