// The streams as the updates tell of them: a fold, without any I/O.
import type { Phase, StreamView, Streams, Update } from "./types";

/** The streams after an update. A stream's view is replaced as a whole. */
export function applyUpdate(streams: Streams, update: Update): Streams {
  switch (update.type) {
    case "snapshot":
      return new Map(update.streams.map((stream) => [stream.spec.id, stream]));
    case "stream":
      return new Map(streams).set(update.stream.spec.id, update.stream);
    case "removed": {
      const left = new Map(streams);
      left.delete(update.id);
      return left;
    }
    default:
      // A newer gateway may tell of things this page does not know.
      return streams;
  }
}

export const titleOf = (stream: StreamView): string => stream.spec.name || stream.spec.id;

/** By title as people read it, then by id. */
export function inOrder(streams: Streams): StreamView[] {
  return [...streams.values()].sort(
    (a, b) =>
      titleOf(a).localeCompare(titleOf(b), undefined, { numeric: true, sensitivity: "base" }) ||
      (a.spec.id < b.spec.id ? -1 : 1),
  );
}

const phaseWords: Record<Phase, string> = {
  live: "Live",
  starting: "Starting",
  reconnecting: "Reconnecting",
  failed: "Failed",
  offline: "Offline",
};

export const wordForPhase = (phase: Phase): string => phaseWords[phase] ?? phase;

/** `3 live, 1 reconnecting`: phases in order of how good they are, those without a stream left out. */
export function summary(streams: Streams): string {
  const counts = new Map<Phase, number>();
  for (const { phase } of streams.values()) counts.set(phase, (counts.get(phase) ?? 0) + 1);
  return (Object.keys(phaseWords) as Phase[])
    .filter((phase) => counts.has(phase))
    .map((phase) => `${counts.get(phase)} ${phaseWords[phase].toLowerCase()}`)
    .join(", ");
}

/** Messages of the API are lower-case and without an end, as they also stand in logs. */
export function sentence(text: string): string {
  const trimmed = text.trim();
  if (!trimmed) return "";
  const capital = trimmed[0]!.toUpperCase() + trimmed.slice(1); // not empty
  return /[.!?]$/.test(capital) ? capital : `${capital}.`;
}
