// DASH: dash.js, Shaka and ffmpeg play it, near the live edge, and over a break.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import type { Page } from "playwright-core";
import { control } from "./api";
import { expectPlaying, expectSteady, openBrowser, playback, screenshot, type Visitor } from "./browser";
import { behind, openSite, playerErrors, watch, type PlayerName, type Site } from "./dash";

const system = inject("system");
const manifest = `${system.gateways[0]!.url}/streams/demo/dash/manifest.mpd`;
const players: PlayerName[] = ["dashjs", "shaka"];
let visitor: Visitor;
let site: Site;
let pages: Page[];

beforeAll(async () => {
  [visitor, site] = await Promise.all([openBrowser(), openSite()]);
  pages = await Promise.all(players.map((player) => watch(visitor.context, site, player, manifest)));
});
afterAll(async () => {
  await visitor.close();
  site.close();
});

test("dash.js and Shaka play picture and sound for 20 s, at the latency that the manifest names", async () => {
  for (const page of pages) await expectPlaying(page);
  await expectSteady(pages, 20);
  const text = await (await fetch(manifest)).text();
  const target = Number(/<Latency target="(\d+)"/.exec(text)?.[1]) / 1000;
  for (const [index, page] of pages.entries()) {
    const name = players[index]!;
    expect(await playback(page), name).toMatchObject({ width: 1280, error: null });
    await expect.poll(() => behind(page), { timeout: 20_000, message: name }).toBeLessThan(target + 0.5);
    expect(await playerErrors(page), name).toEqual([]);
  }
  await screenshot(pages[0]!, "dashjs");
  await screenshot(pages[1]!, "shaka");
});

test("they play on when the ingest is killed and another takes the stream over", async () => {
  await control(system, "kill ingest 0");
  await control(system, "restart ingest 0");
  const periods = async () => (await (await fetch(manifest)).text()).match(/<Period /g)?.length;
  await expect.poll(periods, { timeout: 45_000 }).toBe(2);
  for (const [index, page] of pages.entries()) {
    const name = players[index]!;
    // The picture after the break, not what was left of that before it.
    await expect.poll(() => behind(page), { timeout: 45_000, message: name }).toBeLessThan(5);
    await expectPlaying(page);
    expect(await playback(page), name).toMatchObject({ error: null });
  }
  await expectSteady(pages, 5);
  for (const page of pages) await page.close();
});

test("ffmpeg plays it", async () => {
  const run = promisify(execFile);
  const probe = await run("ffprobe", ["-v", "error", "-show_entries", "stream=codec_name", "-of", "csv=p=0", manifest]);
  expect(probe.stdout.trim().split("\n").sort()).toEqual(["aac", "h264"]);
  const options = ["-hide_banner", "-nostats", "-v", "error", "-i", manifest, "-t", "8"];
  const outputs = ["-map", "0:v", "-map", "0:a", "-f", "framecrc", "-"];
  const { stdout, stderr } = await run("ffmpeg", [...options, ...outputs], { timeout: 60_000 });
  const frames = (stream: number) => stdout.split("\n").filter((line) => line.startsWith(`${stream},`)).length;
  expect(frames(0)).toBeGreaterThan(8 * 20);
  expect(frames(1)).toBeGreaterThan(8 * 40);
  expect(stderr).toBe("");
});
