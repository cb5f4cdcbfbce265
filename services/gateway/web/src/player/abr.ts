// Which rendition to load next. hls.js judges by bandwidth; the rules here say when to change over, and
// what its judgement is based on.
import Hls from "hls.js";

/** What the rule looks at of a part of the playlist. */
export interface PartPlace {
  /** Its place in its segment. */
  index: number;
  start: number;
  end: number;
}

/** Clocks of renditions agree to the tick; a browser's buffer may end a frame off. */
const nearSeconds = 0.06;

/**
 * Whether what comes next, at `bufferEnd`, is the start of a segment. Only there can a player change over
 * without loading again, in the other rendition, what it already has of a segment: a change in the middle
 * costs up to a whole segment before the first new picture, more than a low-latency player holds.
 */
export function atSegmentStart(parts: readonly PartPlace[], bufferEnd: number): boolean {
  const first = parts[0];
  const next = parts.find(({ start }) => Math.abs(start - bufferEnd) < nearSeconds);
  if (next) return next.index === 0;
  // Where parts are not listed, whole segments are loaded; what has not come yet is waited for.
  return first === undefined || bufferEnd < first.start;
}

/** With less than this in the buffer there is no time to wait for the next segment, in seconds. */
const urgentAhead = 0.3;

/** What the next level is chosen from; levels are indices in hls.js, higher ones better. */
export interface Choice {
  /** What hls.js or the viewer wants. */
  wanted: number;
  /** What is being loaded. */
  loading: number;
  /** Media in the buffer, in seconds. */
  ahead: number;
  bufferEnd: number;
  parts: readonly PartPlace[];
}

export function nextLevel({ wanted, loading, ahead, bufferEnd, parts }: Choice): number {
  if (wanted === loading || loading < 0) return wanted;
  const urgent = wanted < loading && ahead < urgentAhead;
  return urgent || atSegmentStart(parts, bufferEnd) ? wanted : loading;
}

/**
 * When a request really began to be answered: gateways hold a part that is about to come, and what was
 * waited for says nothing of the line. `fastest` is the quickest first byte of late, in milliseconds.
 */
export function answeredFrom(startMs: number, firstMs: number, fastest: number): number {
  return Math.max(startMs, firstMs - fastest);
}

/** The quickest first byte of the last requests. */
export class FirstBytes {
  #last: number[] = [];

  /** Notes one more, and gives the quickest. */
  note(ms: number): number {
    this.#last = [...this.#last, Math.max(0, ms)].slice(-10);
    return Math.min(...this.#last);
  }
}

const keptKey = "reelay.bandwidth";
/** The line of yesterday may be another one. */
const keptForMs = 6 * 3_600_000;
/** The best rendition: on a slow line the first segments say so soon enough. */
const usualEstimate = 5_000_000;
const leastEstimate = 300_000;

/** The bandwidth to begin with, in bit/s: what was measured not long ago, or what is usual. */
export function firstEstimate(kept: string | null, nowMs: number): number {
  const [bandwidth, atMs] = (kept ?? "").split("@").map(Number);
  if (!bandwidth || !atMs || !Number.isFinite(bandwidth) || nowMs - atMs > keptForMs || atMs > nowMs)
    return usualEstimate;
  return Math.min(50_000_000, Math.max(leastEstimate, Math.round(bandwidth)));
}

export const keptEstimate = (): number => firstEstimate(localStorage.getItem(keptKey), Date.now());

export function keepEstimate(bandwidth: number): void {
  if (!Number.isFinite(bandwidth)) return;
  try {
    localStorage.setItem(keptKey, `${Math.round(bandwidth)}@${Date.now()}`);
  } catch {
    // A browser that keeps nothing begins with what is usual.
  }
}

/** What the viewer wants: a level's index, or null to leave it to the player. */
export interface Wish {
  level: number | null;
}

/** hls.js's controller, changing over at starts of segments alone, and to what the viewer wishes. */
export function controllerFor(wish: Wish): typeof Hls.DefaultConfig.abrController {
  return class SegmentAbr extends Hls.DefaultConfig.abrController {
    /** The level that is gone on with only until the next segment starts; -1 for none. */
    #until = -1;

    override get nextAutoLevel(): number {
      const { hls } = this;
      const wanted = wish.level ?? super.nextAutoLevel;
      const loading = hls.loadLevel;
      const buffer = hls.mainForwardBufferInfo;
      const next = nextLevel({
        wanted,
        loading,
        ahead: buffer?.len ?? 0,
        bufferEnd: buffer?.end ?? 0,
        parts: hls.levels[loading]?.details?.partList ?? [],
      });
      this.#until = next === wanted ? -1 : next;
      return next;
    }

    override set nextAutoLevel(level: number) {
      // hls.js sets what it was given, and holds to it until something of it was loaded: it would go on
      // past the start of the segment.
      if (level !== this.#until) super.nextAutoLevel = level;
    }
  };
}
