// Which previews play: only what is visible, only a few at once, and with more than that in turns.
// A plain function; the wall calls it whenever something changes, and now and then.

/** Each preview plays one plain HLS playlist, which costs one of the browser's six connections now and then. */
export const greatestPlaying = 4;
/** When others wait, a preview gives way after this long. */
export const turnMs = 8_000;

export interface Preview {
  id: string;
  /** On the screen, in a tab that is shown, of a stream that is live. */
  wanted: boolean;
  /** Since when it plays; null when it does not. */
  playingSinceMs: number | null;
  /** When it last stopped playing; -Infinity when it never played. */
  stoppedAtMs: number;
}

/** The ids of the previews that should play now. */
export function whoPlays(previews: readonly Preview[], nowMs: number): Set<string> {
  const wanted = previews.filter((preview) => preview.wanted);
  if (wanted.length <= greatestPlaying) return new Set(wanted.map(({ id }) => id));
  const fresh = wanted.filter(
    ({ playingSinceMs }) => playingSinceMs !== null && nowMs - playingSinceMs < turnMs,
  );
  const tired = wanted
    .filter(({ playingSinceMs }) => playingSinceMs !== null && nowMs - playingSinceMs >= turnMs)
    .sort((a, b) => b.playingSinceMs! - a.playingSinceMs!); // both not null by the filter
  const waiting = wanted
    .filter(({ playingSinceMs }) => playingSinceMs === null)
    .sort((a, b) => a.stoppedAtMs - b.stoppedAtMs);
  return new Set([...fresh, ...waiting, ...tired].slice(0, greatestPlaying).map(({ id }) => id));
}
