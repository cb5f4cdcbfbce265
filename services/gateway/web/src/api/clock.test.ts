import { expect, test } from "vitest";
import { bestSample, clockSample } from "./clock";

test("the offset is taken at the middle of the round trip", () => {
  expect(clockSample(1000, 1100, 5050)).toEqual({ offsetMs: 4000, uncertaintyMs: 50 });
});

test("a clock that runs ahead gives a negative offset", () => {
  expect(clockSample(10_000, 10_020, 9_010).offsetMs).toBe(-1000);
});

test("the quickest answer wins, the first of two alike", () => {
  const samples = [
    { offsetMs: 9, uncertaintyMs: 50 },
    { offsetMs: 5, uncertaintyMs: 3 },
    { offsetMs: 6, uncertaintyMs: 3 },
  ];
  expect(bestSample(samples)?.offsetMs).toBe(5);
  expect(bestSample([])).toBeNull();
});
