// Which stream a page is about, and where its playlists are.

/** The stream id in `/watch/{id}`, or null when there is none. */
export function streamOf(path: string): string | null {
  const id = /^\/watch\/([^/]+)\/?$/.exec(path)?.[1];
  if (!id) return null;
  try {
    return decodeURIComponent(id);
  } catch {
    return null;
  }
}

export const watchPath = (id: string): string => `/watch/${encodeURIComponent(id)}`;

export const masterPath = (id: string): string => `/streams/${encodeURIComponent(id)}/hls/master.m3u8`;
