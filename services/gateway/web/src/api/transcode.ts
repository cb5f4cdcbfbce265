// How the smaller pictures of a stream fare, in words.
import { sentence } from "./streams";
import type { StreamView } from "./types";

/** Rungs follow the source within a second or two; more than this is worth words. */
const lagToTellSeconds = 6;
/** A component that has said nothing for this long is not there: it speaks every 10 s. */
const silentForMs = 30_000;

/** What is wrong with transcoding, or null: nothing, or the stream itself is not live. */
export function transcodeWords(stream: StreamView, nowMs: number): string | null {
  const status = stream.status?.transcode;
  if (!status || stream.phase !== "live" || status.phase === "offline") return null;
  if (nowMs - status.at / 1000 > silentForMs) {
    return "Smaller pictures are not being made just now: transcoding has stopped reporting. The source plays on.";
  }
  const left = (status.transcode?.rungs ?? []).filter(({ dropped }) => dropped).map(({ rung }) => rung);
  const leftOut = left.length > 0 ? ` Left out for now: ${left.join(", ")}.` : "";
  if (status.problem) {
    const words = [sentence(status.problem.message), sentence(status.problem.next)];
    const name = status.problem.code === "overloaded" ? "Transcoding is overloaded." : "Transcoding:";
    return `${[name, ...words].filter(Boolean).join(" ")}${leftOut}`;
  }
  const lag = status.transcode?.lagSeconds ?? 0;
  if (lag > lagToTellSeconds) return `Smaller pictures are ${Math.round(lag)} s late.${leftOut}`;
  return leftOut.trim() || null;
}
