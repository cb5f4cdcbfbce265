// Asks for the playlists the moment the page opens, while hls.js is still being loaded and parsed.
// That takes the round trips out of the time to the first picture, and has the gateway begin to
// follow the stream.
import { masterPath } from "./address";

/** A live playlist older than this would only start the player further from the live edge. */
const freshMs = 400;

export interface Fetched {
  url: string;
  text: string;
  /** `performance.now()` at the request, at the headers and at the end. */
  startMs: number;
  firstMs: number;
  endMs: number;
}

/**
 * Addresses of the playlists a player asks for first: the first variant's and its audio group's.
 * This reads just enough of a master playlist (RFC 8216bis section 4.4.6) to be early; hls.js parses it in full.
 */
export function firstPlaylists(master: string, base: string): string[] {
  const lines = master.split(/\r?\n/);
  const variant = lines.find((line, index) => {
    const before = lines[index - 1];
    return !!before?.startsWith("#EXT-X-STREAM-INF:") && line !== "" && !line.startsWith("#");
  });
  const audio = lines
    .filter((line) => /^#EXT-X-MEDIA:.*TYPE=AUDIO/.test(line))
    .map((line) => /[,:]URI="([^"]+)"/.exec(line)?.[1])
    .find((uri) => uri !== undefined);
  return [variant, audio].flatMap((uri) => (uri ? [new URL(uri, base).href] : []));
}

const fetched = new Map<string, Promise<Fetched | null>>();

async function fetchText(url: string): Promise<Fetched | null> {
  const startMs = performance.now();
  try {
    const response = await fetch(url);
    const firstMs = performance.now();
    if (!response.ok) return null;
    return { url: response.url, text: await response.text(), startMs, firstMs, endMs: performance.now() };
  } catch {
    return null;
  }
}

export function prefetch(streamId: string): void {
  const master = new URL(masterPath(streamId), location.href).href;
  const answer = fetchText(master);
  fetched.set(master, answer);
  void answer.then((found) => {
    if (!found) return;
    for (const url of firstPlaylists(found.text, found.url)) fetched.set(url, fetchText(url));
  });
}

/** Hands out what was fetched early, once, and only while it is fresh; null: ask as usual. */
export async function takeFetched(url: string): Promise<Fetched | null> {
  const answer = fetched.get(url);
  if (!answer) return null;
  fetched.delete(url);
  const found = await answer;
  return found && performance.now() - found.firstMs < freshMs ? found : null;
}

export const hasFetched = (url: string): boolean => fetched.has(url);
