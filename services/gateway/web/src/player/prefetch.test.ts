import { expect, test } from "vitest";
import { streamOf, watchPath } from "./address";
import { firstPlaylists } from "./prefetch";

const base = "http://host:8080/streams/demo/hls/master.m3u8";

test("the first variant and its audio are found", () => {
  const master = [
    "#EXTM3U",
    '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio",NAME="main",DEFAULT=YES,URI="audio/media.m3u8"',
    '#EXT-X-STREAM-INF:BANDWIDTH=2700000,CODECS="avc1.64001f,mp4a.40.2",AUDIO="audio"',
    "video/media.m3u8",
    "#EXT-X-STREAM-INF:BANDWIDTH=900000",
    "360p/media.m3u8",
  ].join("\n");
  expect(firstPlaylists(master, base)).toEqual([
    "http://host:8080/streams/demo/hls/video/media.m3u8",
    "http://host:8080/streams/demo/hls/audio/media.m3u8",
  ]);
});

test("a master without audio, or none at all, is no trouble", () => {
  expect(firstPlaylists("#EXTM3U\r\n#EXT-X-STREAM-INF:BANDWIDTH=1\r\nv.m3u8\r\n", base)).toEqual([
    "http://host:8080/streams/demo/hls/v.m3u8",
  ]);
  expect(firstPlaylists('#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="muxed"\n', base)).toEqual([]);
  expect(firstPlaylists("<html>not a playlist</html>", base)).toEqual([]);
});

test("the stream is read from the page's address", () => {
  expect(streamOf(watchPath("gate-2"))).toBe("gate-2");
  expect(streamOf("/watch/demo/")).toBe("demo");
  expect(streamOf("/watch/")).toBeNull();
  expect(streamOf("/watch/%E0%A4%A")).toBeNull();
  expect(streamOf("/")).toBeNull();
});
