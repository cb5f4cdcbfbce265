import { expect, test } from "vitest";
import { transcodeWords } from "./transcode";
import type { ComponentStatus, StreamView } from "./types";

const nowMs = 1_700_000_000_000;

const stream = (status?: Partial<ComponentStatus>, phase: StreamView["phase"] = "live"): StreamView => ({
  spec: { id: "door", source: "synthetic:", latency: "low" },
  version: 1,
  phase,
  problem: null,
  playback: { hls: "" },
  ...(status && { status: { transcode: { at: (nowMs - 2_000) * 1000, phase: "live", ...status } } }),
});

const work = (lagSeconds: number, dropped: string[] = []) => ({
  lagSeconds,
  framesPerSecond: 25,
  behindSegments: 0,
  rungs: dropped.map((rung) => ({ rung, cpuPerMediaSecond: 0.2, dropped: true })),
});

test("where all is well nothing is said", () => {
  expect(transcodeWords(stream(), nowMs)).toBeNull();
  expect(transcodeWords(stream({ transcode: work(0.6) }), nowMs)).toBeNull();
  expect(transcodeWords(stream({ transcode: work(60) }, "offline"), nowMs)).toBeNull();
});

test("lateness, overload and silence are put into words", () => {
  expect(transcodeWords(stream({ transcode: work(12.4) }), nowMs)).toBe("Smaller pictures are 12 s late.");
  const problem = { code: "overloaded", message: "18 s behind", since: 0, next: "it catches up" };
  expect(transcodeWords(stream({ problem, transcode: work(18, ["480p"]) }), nowMs)).toBe(
    "Transcoding is overloaded. 18 s behind. It catches up. Left out for now: 480p.",
  );
  expect(transcodeWords(stream({ at: (nowMs - 60_000) * 1000 }), nowMs)).toMatch(/not being made just now/);
});
