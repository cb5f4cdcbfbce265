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
  /** Rungs by id; none at all: the source alone; absent: the deployment's default. */
  ladder?: string[];
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

/** What a component last said of a stream. */
export interface ComponentStatus {
  /** Microseconds since 1970. */
  at: number;
  phase: Phase;
  problem?: Problem;
  transcode?: TranscodeStatus;
}

export interface TranscodeStatus {
  /** Source media that is not in the rungs yet, in seconds. */
  lagSeconds: number;
  framesPerSecond: number;
  behindSegments: number;
  rungs: { rung: string; cpuPerMediaSecond: number; dropped?: boolean }[];
}

export interface StreamView {
  spec: StreamSpec;
  /** The offset of the spec in the log: what an edit is based on. */
  version: number;
  phase: Phase;
  problem: Problem | null;
  /** By the component's name. */
  status?: Record<string, ComponentStatus>;
  playback: { hls: string };
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
  /** Rungs that the deployment can make beside the source. */
  rungs?: Rung[];
}

export interface Rung {
  id: string;
  /** In pixels; the rung of the source's own size has the greatest it can have. */
  height: number;
  codec: "h264" | "h265" | "av1";
  /** Greatest bit rate, bit/s. */
  cap: number;
}

export type Streams = ReadonlyMap<string, StreamView>;
