import { expect, test } from "vitest";
import { stepsOf } from "./frames";

const frame = (mediaMs: number, clockMs: number | null, width = 1280) => ({ mediaMs, clockMs, width });

test("a clock that goes on over a change of size has no step", () => {
  const frames = [frame(0, 1_000), frame(40, 1_040), frame(80, 1_080, 640), frame(120, 1_120, 640)];
  expect(stepsOf(frames)).toEqual({ read: 4, widths: [1280, 640], greatestStepMs: 0 });
});

test("a clock that jumps is told by how far, and what cannot be read is passed over", () => {
  const frames = [frame(0, 1_000), frame(40, null, 640), frame(80, 1_160, 640)];
  expect(stepsOf(frames)).toEqual({ read: 2, widths: [1280, 640], greatestStepMs: 80 });
});
