import { expect, test } from "vitest";
import { smallestVariant, withoutLowLatency } from "./playlist";

test("the smallest variant is found wherever it stands", () => {
  const master = [
    "#EXTM3U",
    "#EXT-X-STREAM-INF:AVERAGE-BANDWIDTH=1,BANDWIDTH=2700000,RESOLUTION=1280x720",
    "video/media.m3u8",
    "#EXT-X-STREAM-INF:BANDWIDTH=400000",
    "# a comment",
    "240p/media.m3u8",
    "#EXT-X-STREAM-INF:BANDWIDTH=900000",
    "360p/media.m3u8",
  ].join("\r\n");
  expect(smallestVariant(master, "http://h/streams/x/hls/master.m3u8")).toBe(
    "http://h/streams/x/hls/240p/media.m3u8",
  );
  expect(smallestVariant("#EXTM3U", "http://h/")).toBeNull();
});

test("only the low-latency tags go", () => {
  const playlist = [
    "#EXTM3U",
    "#EXT-X-TARGETDURATION:2",
    "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=0.6",
    "#EXT-X-PART-INF:PART-TARGET=0.2",
    "#EXT-X-PROGRAM-DATE-TIME:2030-01-01T00:00:00Z",
    '#EXT-X-PART:DURATION=0.2,URI="p.m4s"',
    "#EXTINF:2,",
    "1.m4s",
    '#EXT-X-PRELOAD-HINT:TYPE=PART,URI="q.m4s"',
    '#EXT-X-RENDITION-REPORT:URI="../audio/media.m3u8"',
  ].join("\n");
  expect(withoutLowLatency(playlist).split("\n")).toEqual([
    "#EXTM3U",
    "#EXT-X-TARGETDURATION:2",
    "#EXT-X-PROGRAM-DATE-TIME:2030-01-01T00:00:00Z",
    "#EXTINF:2,",
    "1.m4s",
  ]);
});
