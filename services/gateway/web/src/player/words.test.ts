import { expect, test } from "vitest";
import type { Phase, Problem, StreamView } from "../api/types";
import { wordsFor, type Trouble } from "./words";

const stalled: Trouble = {
  status: "stalled",
  forMs: 2000,
  unreachable: false,
  cause: null,
  seen: false,
  retryInMs: null,
};

const stream = (phase: Phase, problem: Problem | null = null): StreamView => ({
  spec: { id: "demo", source: "synthetic:", latency: "low" },
  version: 0,
  phase,
  problem,
  playback: { hls: "/streams/demo/hls/master.m3u8", dash: "/streams/demo/dash/manifest.mpd" },
});

test("while it plays nothing is said, whatever the source does", () => {
  expect(wordsFor({ ...stalled, status: "playing" }, stream("reconnecting"))).toBeNull();
  expect(wordsFor({ ...stalled, status: "paused" }, stream("live"))).toBeNull();
});

test("a short wait is not worth words", () => {
  expect(wordsFor({ ...stalled, forMs: 300 }, stream("live"))).toBeNull();
  expect(wordsFor({ ...stalled, status: "connecting", forMs: 300 }, undefined)).toBeNull();
});

test("a stream that does not exist is said at once", () => {
  expect(wordsFor({ ...stalled, forMs: 0 }, null)?.title).toBe("There is no such stream");
});

test("a stream that was removed while it played has ended", () => {
  expect(wordsFor({ ...stalled, forMs: 0, cause: "ended" }, null)?.title).toBe("This stream has ended");
  expect(wordsFor({ ...stalled, forMs: 0, seen: true }, null)?.title).toBe("This stream has ended");
});

test("the source's problem is told in its own words, and what happens next", () => {
  const problem = { code: "x", message: "the camera does not answer", since: 0, next: "tried again in 8 s" };
  expect(wordsFor(stalled, stream("reconnecting", problem))).toMatchObject({
    title: "Reconnecting to the source",
    detail: "The camera does not answer. Tried again in 8 s.",
  });
});

test("an unreachable gateway comes before what it said last", () => {
  const words = wordsFor({ ...stalled, unreachable: true, retryInMs: 3200 }, stream("live"));
  expect(words?.title).toBe("The gateway cannot be reached");
  expect(words?.detail).toMatch(/Trying again in 3 s\.$/);
});

test("every phase has words of its own", () => {
  const phases: Phase[] = ["live", "starting", "reconnecting", "failed", "offline"];
  const titles = phases.map((phase) => wordsFor(stalled, stream(phase))?.title);
  expect(new Set(titles).size).toBe(phases.length);
});

test("a retry is offered where it can help", () => {
  expect(wordsFor({ ...stalled, forMs: 9000 }, stream("live"))?.retry).toBe(true);
  expect(wordsFor({ ...stalled, cause: "media", forMs: 900 }, stream("live"))?.retry).toBe(true);
  expect(wordsFor(stalled, stream("offline"))?.retry).toBe(false);
});
