// What the gateway's API says and takes (its OpenAPI document is the source).

export type Phase = "live" | "starting" | "reconnecting" | "failed" | "offline";
export type Latency = "low" | "normal";

export interface StreamSpec {
  id: string;
  uid?: string;
  name?: string;
  source: string;
  latency: Latency;
  /** Fixed for the life of a stream. */
  greatestSegmentSeconds?: number;
  labels?: Record<string, string>;
  /** Parts of a spec that this page does not know are kept as they are by an edit. */
  [other: string]: unknown;
}

export interface Problem {
  code: string;
  message: string;
  /** Microseconds since 1970. */
  since: number;
  /** What happens next, in words. */
  next: string;
}

export interface StreamView {
  spec: StreamSpec;
  /** The offset of the spec in the log: what an edit is based on. */
  version: number;
  phase: Phase;
  problem: Problem | null;
  playback: { hls: string; dash: string };
}

export type Update =
  | { type: "snapshot"; streams: StreamView[] }
  | { type: "stream"; stream: StreamView }
  | { type: "removed"; id: string };

export interface Info {
  version: string;
  /** The gateway's clock when it answered, RFC 3339. */
  now: string;
  /** Origins of other gateways of the same deployment, to fall over to. */
  alternates: string[];
}

export type Streams = ReadonlyMap<string, StreamView>;
