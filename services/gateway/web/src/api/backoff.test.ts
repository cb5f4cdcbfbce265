import { expect, test } from "vitest";
import { delayMs } from "./backoff";

const backoff = { firstMs: 500, greatestMs: 8000 };

test("doubles up to the bound", () => {
  const waits = [0, 1, 2, 3, 4, 5, 50, 5000].map((attempt) => delayMs(attempt, backoff, () => 0));
  expect(waits).toEqual([500, 1000, 2000, 4000, 8000, 8000, 8000, 8000]);
});

test("chance takes off at most half", () => {
  expect(delayMs(2, backoff, () => 0.999999)).toBe(1000);
  for (let i = 0; i < 100; i++) {
    const wait = delayMs(3, backoff);
    expect(wait).toBeGreaterThanOrEqual(2000);
    expect(wait).toBeLessThanOrEqual(4000);
  }
});
