// Playlists as a preview wants them: the smallest picture, no sound, no low latency.

/** Address of the variant with the least BANDWIDTH in a master playlist (RFC 8216bis section 4.4.6.2). */
export function smallestVariant(master: string, base: string): string | null {
  const lines = master.split(/\r?\n/);
  let best: { bandwidth: number; uri: string } | null = null;
  lines.forEach((line, index) => {
    const bandwidth = /^#EXT-X-STREAM-INF:(?:.*,)?BANDWIDTH=(\d+)/.exec(line)?.[1];
    const uri = lines.slice(index + 1).find((next) => next !== "" && !next.startsWith("#"));
    if (bandwidth && uri && (!best || Number(bandwidth) < best.bandwidth)) {
      best = { bandwidth: Number(bandwidth), uri };
    }
  });
  // TypeScript does not see the assignment within the callback.
  const found = best as { uri: string } | null;
  return found ? new URL(found.uri, base).href : null;
}

const lowLatencyTags = /^#EXT-X-(?:PART|PART-INF|PRELOAD-HINT|RENDITION-REPORT|SERVER-CONTROL)(?::|$)/;

/**
 * Takes the low-latency tags out of a playlist. Without them hls.js asks every few seconds instead of
 * holding a request open, which would cost one of the six connections that a browser allows a host.
 */
export function withoutLowLatency(playlist: string): string {
  return playlist
    .split("\n")
    .filter((line) => !lowLatencyTags.test(line))
    .join("\n");
}
