// The quality menu: what hls.js calls levels, in words.

export interface LevelInfo {
  height: number;
  bitrate: number;
  frameRate: number;
}

export interface Quality {
  /** Index of the level in hls.js; -1 lets hls.js choose. */
  level: number;
  label: string;
}

const megabits = (bitrate: number): string => `${(bitrate / 1e6).toFixed(1)} Mbit/s`;

function labelOf(level: LevelInfo, all: readonly LevelInfo[]): string {
  const rate = level.frameRate > 31 ? String(Math.round(level.frameRate)) : "";
  const label = level.height > 0 ? `${level.height}p${rate}` : megabits(level.bitrate);
  const alike = all.filter((other) => other.height === level.height && other.frameRate === level.frameRate);
  return alike.length > 1 && level.height > 0 ? `${label}, ${megabits(level.bitrate)}` : label;
}

/** Best first, then the choice to leave it to the player; nothing to choose from: nothing. */
export function qualities(levels: readonly LevelInfo[], current: number): Quality[] {
  if (levels.length === 0) return [];
  const playing = levels[current];
  const sorted = levels
    .map((level, index) => ({ level, index }))
    .sort((a, b) => b.level.height - a.level.height || b.level.bitrate - a.level.bitrate)
    .map(({ level, index }) => ({ level: index, label: labelOf(level, levels) }));
  return [{ level: -1, label: playing ? `Auto (${labelOf(playing, levels)})` : "Auto" }, ...sorted];
}
