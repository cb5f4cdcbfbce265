// From a stream to the fields of the dialog and back.
import type { Latency, StreamSpec } from "../api/types";

export interface Fields {
  id: string;
  name: string;
  source: string;
  latency: Latency;
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
    greatestSegmentSeconds:
      spec.greatestSegmentSeconds === undefined ? "" : String(spec.greatestSegmentSeconds),
    labels: labelsText(spec.labels),
  };
}

/** The spec to send; what the dialog does not show of an edited stream stays as it is. */
export function specFrom(fields: Fields, edited: StreamSpec | null): StreamSpec {
  const { name: _name, greatestSegmentSeconds: _seconds, ...kept } = edited ?? ({} as StreamSpec);
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
  return spec;
}
