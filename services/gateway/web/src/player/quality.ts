// The quality menu: what hls.js calls levels, in words.

export interface LevelInfo {
  height: number;
  bitrate: number;
  frameRate: number;
  /** RFC 6381, as the playlist has it. */
  codec: string;
  /** The name of the track in addresses: `video`, or the id of a rung. */
  track: string;
}

export interface Quality {
  /** Index of the level in hls.js; -1 lets the player choose. */
  level: number;
  label: string;
}

const megabits = (bitrate: number): string => `${(bitrate / 1e6).toFixed(1)} Mbit/s`;

const codecs: readonly [start: string, name: string][] = [
  ["avc", "H.264"],
  ["hvc", "H.265"],
  ["hev", "H.265"],
  ["av01", "AV1"],
  ["vp09", "VP9"],
  ["vp08", "VP8"],
];

const codecName = (codec: string): string => codecs.find(([start]) => codec.startsWith(start))?.[1] ?? codec;

function labelOf(level: LevelInfo, all: readonly LevelInfo[]): string {
  const rate = level.frameRate > 31 ? String(Math.round(level.frameRate)) : "";
  if (level.height <= 0) return megabits(level.bitrate);
  const label = `${level.height}p${rate}`;
  const alike = all.filter((other) => other.height === level.height && other.frameRate === level.frameRate);
  if (alike.length < 2) return label;
  const name = codecName(level.codec);
  const ofCodec = alike.filter((other) => codecName(other.codec) === name);
  if (ofCodec.length < 2) return `${label}, ${name}`;
  return `${label}, ${megabits(level.bitrate)}`;
}

/** The track that a media playlist's address is of. */
export function trackOf(url: string): string {
  return url.split("?")[0]?.split("/").at(-2) ?? "";
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

/** What the figures say of the level that plays. */
export function qualityName(levels: readonly LevelInfo[], current: number): string | null {
  const playing = levels[current];
  if (!playing) return null;
  return `${labelOf(playing, levels)}${playing.track === "video" ? ", as the source" : ""}`;
}

/** The next better (1) or next smaller (-1) level than `from`; the same where there is none. */
export function neighbour(levels: readonly LevelInfo[], from: number, step: 1 | -1): number {
  const order = qualities(levels, -1)
    .map(({ level }) => level)
    .filter((level) => level >= 0);
  const at = order.indexOf(from);
  return at < 0 ? from : (order[at - step] ?? from);
}
