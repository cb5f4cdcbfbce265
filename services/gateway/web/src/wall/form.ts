// From a stream to the fields of the dialog and back.
import type { Latency, Rung, StreamSpec } from "../api/types";

/** Which sizes are made: what the deployment makes by default, none, or those that are named. */
export type LadderChoice = "default" | "source" | "chosen";

export interface Fields {
  id: string;
  name: string;
  source: string;
  latency: Latency;
  ladder: LadderChoice;
  /** Ids of the rungs that are chosen, if they are. */
  rungs: string[];
  /** As typed; the gateway judges it. */
  greatestSegmentSeconds: string;
  /** `key=value, key=value`. */
  labels: string;
}

export const emptyFields: Fields = {
  id: "",
  name: "",
  source: "",
  latency: "low",
  ladder: "default",
  rungs: [],
  greatestSegmentSeconds: "",
  labels: "",
};

/** An id (a DNS label) made of a name: what a user who does not care about ids gets. */
export function idFrom(name: string): string {
  return name
    .normalize("NFKD")
    .replace(/[\u0300-\u036f]/g, "")
    .toLowerCase()
    .replace(/ß/g, "ss")
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, 63)
    .replace(/-+$/, "");
}

export function labelsText(labels: Record<string, string> | undefined): string {
  return Object.entries(labels ?? {})
    .map(([key, value]) => `${key}=${value}`)
    .join(", ");
}

/** A piece without `=` is a label with an empty value: the gateway says whether it takes that. */
export function labelsFrom(text: string): Record<string, string> {
  const pieces = text
    .split(/[,\n]/)
    .map((piece) => piece.trim())
    .filter(Boolean);
  return Object.fromEntries(
    pieces.map((piece) => {
      const [key = "", ...value] = piece.split("=");
      return [key.trim(), value.join("=").trim()];
    }),
  );
}

export function fieldsOf(spec: StreamSpec): Fields {
  return {
    id: spec.id,
    name: spec.name ?? "",
    source: spec.source,
    latency: spec.latency,
    ladder: spec.ladder === undefined ? "default" : spec.ladder.length === 0 ? "source" : "chosen",
    rungs: spec.ladder ?? [],
    greatestSegmentSeconds:
      spec.greatestSegmentSeconds === undefined ? "" : String(spec.greatestSegmentSeconds),
    labels: labelsText(spec.labels),
  };
}

/** The spec to send; what the dialog does not show of an edited stream stays as it is. */
export function specFrom(fields: Fields, edited: StreamSpec | null): StreamSpec {
  const {
    name: _name,
    greatestSegmentSeconds: _seconds,
    ladder: _ladder,
    ...kept
  } = edited ?? ({} as StreamSpec);
  const spec: StreamSpec = {
    ...kept,
    id: edited?.id ?? fields.id.trim(),
    source: fields.source.trim(),
    latency: fields.latency,
    labels: labelsFrom(fields.labels),
  };
  const name = fields.name.trim();
  if (name) spec.name = name;
  const seconds = fields.greatestSegmentSeconds.trim();
  if (seconds) spec.greatestSegmentSeconds = Number(seconds);
  if (fields.ladder === "source") spec.ladder = [];
  if (fields.ladder === "chosen") spec.ladder = fields.rungs;
  return spec;
}

/** The rung of the source's own size is made where it is needed; nobody has to choose it. */
const sourceSize = "source-h264";

/** The rungs that can be chosen, greatest first, and whether this latency can have them. */
export function choosable(rungs: readonly Rung[], latency: Latency): { rung: Rung; can: boolean }[] {
  return rungs
    .filter(({ id }) => id !== sourceSize)
    .sort((a, b) => b.height - a.height || b.cap - a.cap)
    .map((rung) => ({ rung, can: latency === "normal" || rung.codec === "h264" }));
}

const codecNames = { h264: "H.264", h265: "H.265", av1: "AV1" };

export const rungWords = ({ height, codec, cap }: Rung): string =>
  `${height}p, ${codecNames[codec] ?? codec}, up to ${(cap / 1e6).toFixed(1)} Mbit/s`;
