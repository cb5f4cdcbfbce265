import { expect, test } from "vitest";
import { applyUpdate, inOrder, sentence, summary } from "./streams";
import type { Phase, StreamView, Streams, Update } from "./types";

function stream(id: string, phase: Phase = "live", name?: string): StreamView {
  const spec = { id, source: "synthetic:", latency: "low" as const, greatestSegmentSeconds: 6 };
  return {
    spec: name ? { ...spec, name } : spec,
    version: 1,
    phase,
    problem: null,
    playback: { hls: `/streams/${id}/hls/master.m3u8`, dash: `/streams/${id}/dash/manifest.mpd` },
  };
}

const ids = (streams: Streams) => inOrder(streams).map((view) => view.spec.id);

test("a snapshot replaces, a stream adds or changes, a removal removes", () => {
  let streams = applyUpdate(new Map(), { type: "snapshot", streams: [stream("b"), stream("a")] });
  expect(ids(streams)).toEqual(["a", "b"]);
  streams = applyUpdate(streams, { type: "stream", stream: stream("a", "failed") });
  streams = applyUpdate(streams, { type: "stream", stream: stream("c", "starting") });
  expect(summary(streams)).toBe("1 live, 1 starting, 1 failed");
  streams = applyUpdate(streams, { type: "removed", id: "b" });
  streams = applyUpdate(streams, { type: "removed", id: "never-was" });
  expect(ids(streams)).toEqual(["a", "c"]);
  expect(ids(applyUpdate(streams, { type: "snapshot", streams: [] }))).toEqual([]);
});

test("an update of an unknown type changes nothing", () => {
  const streams = applyUpdate(new Map(), { type: "snapshot", streams: [stream("a")] });
  expect(applyUpdate(streams, { type: "weather" } as unknown as Update)).toBe(streams);
});

test("streams stand in the order people expect", () => {
  const streams = applyUpdate(new Map(), {
    type: "snapshot",
    streams: [
      stream("x", "live", "Gate 10"),
      stream("y", "live", "gate 9"),
      stream("b", "live", "Yard"),
      stream("a", "live", "Yard"),
    ],
  });
  expect(ids(streams)).toEqual(["y", "x", "a", "b"]);
});

test("a message becomes a sentence", () => {
  expect(sentence(" the file is gone ")).toBe("The file is gone.");
  expect(sentence("Really?")).toBe("Really?");
  expect(sentence("")).toBe("");
});
