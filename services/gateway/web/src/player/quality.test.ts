import { expect, test } from "vitest";
import { neighbour, qualities, qualityName, trackOf } from "./quality";

const level = (height: number, bitrate: number, frameRate = 25, codec = "avc1.64001f") => ({
  height,
  bitrate,
  frameRate,
  codec,
  track: `${height}p`,
});

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

test("levels of one height and several codecs are told by their codecs", () => {
  const levels = [level(480, 7e5, 25, "av01.0.04M.08"), level(480, 1.4e6), level(720, 2.5e6)];
  expect(qualities(levels, 0).map(({ label }) => label)).toEqual([
    "Auto (480p, AV1)",
    "720p",
    "480p, H.264",
    "480p, AV1",
  ]);
});

test("the keys go to the next better or smaller one, and no further", () => {
  const levels = [level(240, 4e5), level(360, 8e5), level(720, 2.5e6)];
  expect(neighbour(levels, 1, 1)).toBe(2);
  expect(neighbour(levels, 2, 1)).toBe(2);
  expect(neighbour(levels, 1, -1)).toBe(0);
  expect(neighbour(levels, 0, -1)).toBe(0);
  expect(neighbour(levels, -1, 1)).toBe(-1);
});

test("a level is known by its playlist's address", () => {
  expect(trackOf("http://h/streams/door/hls/480p-av1/media.m3u8?_HLS_msn=3")).toBe("480p-av1");
  expect(qualityName([{ ...level(720, 2e6), track: "video" }], 0)).toBe("720p, as the source");
  expect(qualityName([level(360, 8e5)], 0)).toBe("360p");
  expect(qualityName([], -1)).toBeNull();
});
