import { expect, test } from "vitest";
import { newSession, QoeSession } from "./session";

const wall = Date.parse("2030-01-01T00:00:00Z");

function started(): QoeSession {
  const session = new QoeSession("demo", newSession(), 0);
  session.become("stalled", 100);
  session.firstPicture(600);
  session.become("playing", 600);
  return session;
}

test("the wait for the first picture is start-up, not a stall", () => {
  const report = started().take(10_000, wall);
  expect(report).toMatchObject({
    stream: "demo",
    sequence: 0,
    from: "2029-12-31T23:59:50.000Z",
    to: "2030-01-01T00:00:00.000Z",
    startupMs: 600,
    watchedMs: 9400,
    stalls: 0,
    stalledMs: 0,
    latencyMs: null,
  });
  expect(report?.session).toMatch(/^[0-9a-f]{32}$/);
});

test("a stall across two periods is counted once and timed in both", () => {
  const session = started();
  session.become("stalled", 9_000);
  session.become("stalled", 9_500);
  expect(session.take(10_000, wall)).toMatchObject({ stalls: 1, stalledMs: 1000, watchedMs: 8400 });
  session.become("playing", 10_250);
  expect(session.take(11_250, wall + 1250)).toMatchObject({
    sequence: 1,
    startupMs: null,
    stalls: 0,
    stalledMs: 250,
    watchedMs: 1000,
  });
  expect(session.stallsInAll).toBe(1);
  expect(session.stalledMsInAll).toBe(1250);
});

test("a paused viewer sends nothing", () => {
  const session = started();
  session.become("idle", 5_000);
  session.take(10_000, wall);
  expect(session.take(20_000, wall)).toBeNull();
  session.failedOver(1);
  expect(session.take(30_000, wall)).toMatchObject({ sequence: 1, failovers: 1, watchedMs: 0 });
});

test("latency is told by least, mean and greatest, in whole milliseconds", () => {
  const session = started();
  for (const ms of [1000.4, 1100.2, 1200.9]) session.latency(ms);
  expect(session.take(10_000, wall)?.latencyMs).toEqual({
    samples: 3,
    least: 1000,
    mean: 1101,
    greatest: 1201,
  });
  expect(session.take(20_000, wall)?.latencyMs).toBeNull();
});

test("a clock that steps back takes nothing away", () => {
  const session = started();
  session.become("playing", 500);
  expect(session.take(1_500, wall)?.watchedMs).toBe(1000);
});

test("next to nothing waits for the next report", () => {
  const session = started();
  session.take(10_000, wall);
  expect(session.take(10_003, wall)).toBeNull();
  expect(session.take(11_000, wall)).toMatchObject({ sequence: 1, watchedMs: 1000 });
});
