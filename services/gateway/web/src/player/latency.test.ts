import { expect, test } from "vitest";
import { Cushion, glassLatencyMs, Jumps, latencyWords, pace, partHoldBack } from "./latency";

const steady = { latency: 0.65, target: 0.6, ahead: 0.5, rate: 1, jumpFrom: 4 };

test("near the target it plays as it is", () => {
  expect(pace(steady)).toEqual({ seek: false, rate: 1 });
  expect(pace({ ...steady, latency: 0.74 })).toEqual({ seek: false, rate: 1 });
});

test("behind the target it catches up, never by more than 6%", () => {
  expect(pace({ ...steady, latency: 0.8, ahead: 0.7 })).toEqual({ seek: false, rate: 1.03 });
  expect(pace({ ...steady, latency: 4, ahead: 3.8 })).toEqual({ seek: false, rate: 1.06 });
});

test("catching up ends at the target, not at the place where it began", () => {
  expect(pace({ ...steady, latency: 0.72, rate: 1.03 })).toEqual({ seek: false, rate: 1.03 });
  expect(pace({ ...steady, latency: 0.61, rate: 1.03 })).toEqual({ seek: false, rate: 1 });
});

test("it does not run into an empty buffer", () => {
  expect(pace({ ...steady, latency: 1.5, ahead: 0.2 })).toEqual({ seek: false, rate: 1 });
});

test("closer to the edge than it should be, it lets the buffer grow", () => {
  expect(pace({ ...steady, latency: 0.55 })).toEqual({ seek: false, rate: 1 });
  expect(pace({ ...steady, latency: 0.5 })).toEqual({ seek: false, rate: 0.96 });
  expect(pace({ ...steady, latency: 0.55, rate: 0.96 })).toEqual({ seek: false, rate: 0.96 });
  expect(pace({ ...steady, latency: 0.59, rate: 0.96 })).toEqual({ seek: false, rate: 1 });
});

test("far behind it jumps", () => {
  expect(pace({ ...steady, latency: 5, ahead: 4 })).toEqual({ seek: true });
});

test("what was lost by a hiccup is won back by a jump, once media comes in again", () => {
  const jumps = new Jumps();
  expect(jumps.from(0)).toBe(1.5);
  jumps.stalled(1_000);
  expect(jumps.from(1_500)).toBe(Infinity);
  expect(jumps.from(2_500)).toBe(1.5);
});

test("what loading took is won back right after the first picture, once, and without loading", () => {
  const jumps = new Jumps();
  jumps.begun(1_000);
  expect(jumps.from(1_500)).toBe(0.25);
  jumps.jumped(1_500);
  expect(jumps.from(1_750)).toBe(1.5);
  const behind = { ...steady, latency: 1.2, jumpFrom: 0.25 };
  expect(pace({ ...behind, ahead: 1 })).toEqual({ seek: true });
  expect(pace({ ...behind, ahead: 0.8 }).seek).toBe(false);
});

test("a line that stalls after jumps is not made to jump again and again", () => {
  const jumps = new Jumps();
  for (const atMs of [10_000, 30_000, 50_000]) {
    jumps.jumped(atMs);
    jumps.stalled(atMs + 5_000);
  }
  expect(jumps.from(60_000)).toBe(4);
  expect(jumps.from(116_000)).toBe(1.5);
});

test("it comes to rest at the target from either side", () => {
  // A player simulated in steps of 250 ms: what it plays beyond real time is latency won.
  for (const start of [0.35, 0.6, 0.9, 2, 4.5]) {
    let latency = start;
    let rate = 1;
    for (let step = 0; step < 1200; step++) {
      const next = pace({ latency, target: 0.6, ahead: Math.max(0, latency - 0.1), rate, jumpFrom: 4 });
      if (next.seek) latency = 0.6;
      else {
        rate = next.rate;
        latency -= (rate - 1) * 0.25;
      }
    }
    expect(latency).toBeGreaterThan(0.51);
    expect(latency).toBeLessThan(0.76);
  }
});

test("the distance from the edge is the playlist's to say", () => {
  const control = "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=36,HOLD-BACK=18";
  expect(partHoldBack(`#EXTM3U\n${control},PART-HOLD-BACK=0.6\n#EXTINF:2,\n`)).toBe(0.6);
  expect(partHoldBack(`#EXTM3U\n${control}\n`)).toBeNull();
});

test("the latency is told by the gateway's clock", () => {
  expect(glassLatencyMs(10_000, 500, new Date(9_400))).toBe(1100);
  expect(glassLatencyMs(10_000, null, new Date(9_400))).toBeNull();
  expect(glassLatencyMs(10_000, 0, null)).toBeNull();
  expect(glassLatencyMs(10_000, 0, new Date(10_500))).toBeNull();
  expect(glassLatencyMs(10_000, 0, new Date(NaN))).toBeNull();
});

test("the latency in words", () => {
  expect([null, 1049, 9949, 9950, 61_000, 200_000].map(latencyWords)).toEqual([
    "–",
    "1.0 s",
    "9.9 s",
    "10 s",
    "61 s",
    "3 min",
  ]);
});

test("the cushion shrinks to its least on a calm line", () => {
  const cushion = new Cushion(0);
  cushion.stalled(0);
  for (let now = 0; now < 60_000; now += 250) cushion.observe(0.6, now);
  expect(cushion.seconds).toBe(0.4);
});

test("the cushion grows when the buffer nearly runs dry, and when it did", () => {
  const cushion = new Cushion(0);
  cushion.observe(0.1, 1_000);
  cushion.observe(0.1, 1_250);
  expect(cushion.seconds).toBeCloseTo(0.55);
  cushion.stalled(1_500);
  expect(cushion.seconds).toBeCloseTo(0.8);
  for (let now = 2_000; now < 60_000; now += 250) cushion.observe(0.05, now);
  expect(cushion.seconds).toBe(1);
});
