import { expect, test } from "vitest";
import { answeredFrom, atSegmentStart, FirstBytes, firstEstimate, nextLevel } from "./abr";

/** Two segments of parts of 0.2 s, the second one of which is open. */
const parts = [0, 1, 2, 3, 4, 0, 1, 2].map((index, at) => ({
  index,
  start: 10 + at * 0.2,
  end: 10.2 + at * 0.2,
}));

test("a segment starts where its first part does", () => {
  expect(atSegmentStart(parts, 11.01)).toBe(true);
  expect(atSegmentStart(parts, 11.2)).toBe(false);
  expect(atSegmentStart(parts, 10.4)).toBe(false);
});

test("what has not come yet is waited for, what is long past comes in whole segments", () => {
  expect(atSegmentStart(parts, 11.6)).toBe(false);
  expect(atSegmentStart(parts, 4)).toBe(true);
  expect(atSegmentStart([], 4)).toBe(true);
});

test("levels change at the start of a segment, or when there is no time to wait for it", () => {
  const choice = { wanted: 1, loading: 3, ahead: 0.8, bufferEnd: 11.2, parts };
  expect(nextLevel(choice)).toBe(3);
  expect(nextLevel({ ...choice, bufferEnd: 11 })).toBe(1);
  expect(nextLevel({ ...choice, ahead: 0.2 })).toBe(1);
  expect(nextLevel({ ...choice, ahead: 0.2, wanted: 4 })).toBe(3);
  expect(nextLevel({ ...choice, loading: -1 })).toBe(1);
  expect(nextLevel({ ...choice, wanted: 3 })).toBe(3);
});

test("time that a gateway holds a request is not counted against the line", () => {
  const bytes = new FirstBytes();
  expect(bytes.note(12)).toBe(12);
  const fastest = bytes.note(180);
  expect(fastest).toBe(12);
  expect(answeredFrom(1_000, 1_180, fastest)).toBe(1_168);
  expect(answeredFrom(1_000, 1_008, fastest)).toBe(1_000);
  // A line that has become slower is believed after a while.
  for (let i = 0; i < 9; i++) bytes.note(90);
  expect(bytes.note(95)).toBe(90);
});

test("a player begins with what it measured lately", () => {
  const nowMs = 1_700_000_000_000;
  expect(firstEstimate(null, nowMs)).toBe(5_000_000);
  expect(firstEstimate(`800000@${nowMs - 60_000}`, nowMs)).toBe(800_000);
  expect(firstEstimate(`800000@${nowMs - 7 * 3_600_000}`, nowMs)).toBe(5_000_000);
  expect(firstEstimate(`1@${nowMs}`, nowMs)).toBe(300_000);
  expect(firstEstimate("nonsense", nowMs)).toBe(5_000_000);
});
