import { expect, test } from "vitest";
import { Recovery } from "./recovery";

const sure = () => 0;

test("attempts wait longer each time, until it has played for a while", () => {
  const recovery = new Recovery();
  expect([1, 2, 3].map(() => recovery.nextDelayMs(sure))).toEqual([300, 600, 1200]);
  recovery.observe(true, 0);
  recovery.observe(true, 4_000);
  expect(recovery.nextDelayMs(sure)).toBe(2400);
  recovery.observe(false, 4_500);
  recovery.observe(true, 5_000);
  recovery.observe(true, 10_000);
  expect(recovery.nextDelayMs(sure)).toBe(300);
});

test("one media error is recovered in place, a second soon after is not", () => {
  const recovery = new Recovery();
  expect(recovery.mediaError(1_000)).toBe("recover in place");
  expect(recovery.mediaError(3_000)).toBe("start afresh");
  expect(recovery.mediaError(60_000)).toBe("recover in place");
});

test("standing still is borne with more patience each time", () => {
  const recovery = new Recovery();
  expect(recovery.isStuck(5_900)).toBe(false);
  expect(recovery.isStuck(6_000)).toBe(true);
  recovery.nextDelayMs();
  expect(recovery.isStuck(6_000)).toBe(false);
  expect(recovery.isStuck(12_000)).toBe(true);
  for (let i = 0; i < 20; i++) recovery.nextDelayMs();
  expect(recovery.isStuck(48_000)).toBe(true);
});
