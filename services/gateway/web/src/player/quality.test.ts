import { expect, test } from "vitest";
import { qualities } from "./quality";

const level = (height: number, bitrate: number, frameRate = 25) => ({ height, bitrate, frameRate });

test("levels stand by height, with Auto first", () => {
  expect(qualities([level(360, 8e5), level(720, 2.5e6)], 1)).toEqual([
    { level: -1, label: "Auto (720p)" },
    { level: 1, label: "720p" },
    { level: 0, label: "360p" },
  ]);
});

test("levels that look alike are told apart", () => {
  const labels = qualities([level(720, 2.5e6), level(720, 1.2e6), level(1080, 5e6, 50), level(0, 9e5)], -1);
  expect(labels.map(({ label }) => label)).toEqual([
    "Auto",
    "1080p50",
    "720p, 2.5 Mbit/s",
    "720p, 1.2 Mbit/s",
    "0.9 Mbit/s",
  ]);
});

test("without levels there is no menu", () => {
  expect(qualities([], -1)).toEqual([]);
});
