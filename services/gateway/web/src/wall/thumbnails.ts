// The newest pictures of streams that are not being previewed, one small request each now and then.

/** A source makes one picture a segment, about every two seconds. */
export const renewMs = 2_000;
/** A stream that has none is asked again after this long. */
export const absentMs = 10_000;
/** So many requests at a time: browsers allow six to a host, and the previews need theirs. */
const atOnce = 2;

export interface Known {
  etag: string | null;
  /** When it is asked for again, by the page's clock. */
  nextMs: number;
}

export const unknown: Known = { etag: null, nextMs: -Infinity };

/** Which streams are asked for now: those that have waited longest. */
export function due<T extends { picture: Known }>(entries: readonly T[], asking: number, nowMs: number): T[] {
  return entries
    .filter(({ picture }) => picture.nextMs <= nowMs)
    .sort((a, b) => a.picture.nextMs - b.picture.nextMs)
    .slice(0, Math.max(0, atOnce - asking));
}

export type Answer = { what: "new"; bitmap: ImageBitmap; etag: string | null } | { what: "same" | "none" };

/** Asks for the newest picture of a stream; one that is known already is not sent again. */
export async function ask(id: string, etag: string | null): Promise<Answer> {
  try {
    const response = await fetch(`/streams/${encodeURIComponent(id)}/thumbnail.jpg`, {
      cache: "no-cache",
      signal: AbortSignal.timeout(5_000),
    });
    if (!response.ok) return { what: "none" };
    const now = response.headers.get("etag");
    if (now !== null && now === etag) return { what: "same" };
    return { what: "new", bitmap: await createImageBitmap(await response.blob()), etag: now };
  } catch {
    return { what: "none" };
  }
}
