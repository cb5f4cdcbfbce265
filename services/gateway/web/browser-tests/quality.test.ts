// The ladder as the viewer sees it: a menu, changes by hand and by the line, without a stall and in step.
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import type { CDPSession, Page } from "playwright-core";
import { removeStream } from "./api";
import {
  expectClean,
  expectPlaying,
  figure,
  openBrowser,
  playback,
  screenshot,
  visit,
  type Noted,
  type Visitor,
} from "./browser";
import { stepsOf, takeFrames, watchFrames } from "./frames";

const system = inject("system");
const gateways = system.gateways.map(({ url }) => url);
const home = gateways[0]!;
const rungs = ["480p", "360p", "240p"];
/** A frame of the demo stream. */
const frameMs = 40;
/** As in the other tests: none where the machine is theirs alone, a few elsewhere. */
const forgiven = process.env.STRICT_PLAYBACK ? 0 : 3;
let visitor: Visitor;

beforeAll(async () => {
  visitor = await openBrowser();
});
afterAll(async () => {
  await removeStream(home, "one-size");
  await visitor.close();
});

/** A player of the demo stream whose master has all rungs. */
async function openPlayer(): Promise<Noted> {
  await expect
    .poll(async () => (await fetch(`${home}/streams/demo/hls/master.m3u8`)).text(), { timeout: 60_000 })
    .toContain("240p/media.m3u8");
  const noted = await visit(visitor.context, `${home}/watch/demo`, gateways);
  await expectPlaying(noted.page);
  return noted;
}

const expectWidth = (page: Page, width: number, withinMs = 40_000) =>
  expect.poll(async () => (await playback(page)).width, { timeout: withinMs }).toBe(width);

async function throttle(line: CDPSession, kilobits: number | null): Promise<void> {
  await line.send("Network.emulateNetworkConditions", {
    offline: false,
    latency: kilobits === null ? 0 : 20,
    downloadThroughput: kilobits === null ? -1 : (kilobits * 1000) / 8,
    uploadThroughput: -1,
  });
}

test("the menu has every rung, best first, and says what plays", async () => {
  const noted = await openPlayer();
  const menu = noted.page.getByLabel("Quality");
  await expect
    .poll(() => menu.locator("option").allTextContents(), { timeout: 20_000 })
    .toEqual(["Auto (720p)", "720p", ...rungs]);
  await menu.selectOption("360p");
  await expectWidth(noted.page, 640);
  expect(await menu.locator("option:checked").textContent()).toBe("360p");
  await noted.page.keyboard.press("i");
  await expect.poll(() => figure(noted.page, "quality").textContent()).toBe("360p");
  await menu.evaluate((select: HTMLSelectElement) => {
    // The browser draws an open menu outside of the page: for the picture it is laid open.
    select.size = select.options.length;
    select.style.height = "auto";
  });
  await screenshot(noted.page, "quality-menu");
  await expectClean(noted);
  await noted.page.close();
});

test("changes by hand keep the picture going, and all rungs are in step to the frame", async () => {
  const noted = await openPlayer();
  const { page } = noted;
  const before = await playback(page);
  await watchFrames(page);
  for (const [choice, width] of [
    ["240p", 426],
    ["480p", 854],
    ["360p", 640],
    ["720p", 1280],
  ] as const) {
    await page.getByLabel("Quality").selectOption(choice);
    await expectWidth(page, width);
  }
  const steps = stepsOf(await takeFrames(page));
  expect(steps.widths).toEqual([1280, 426, 854, 640, 1280]);
  expect(steps.read).toBeGreaterThan(50);
  expect(steps.greatestStepMs).toBeLessThan(frameMs);
  const after = await playback(page);
  expect(after.error).toBeNull();
  expect(after.frames).toBeGreaterThan(before.frames);
  expect(after.stalls - before.stalls).toBeLessThanOrEqual(forgiven);
  await expectClean(noted);
  await page.close();
});

test("the keys choose, too, and A leaves it to the player", async () => {
  const { page } = await openPlayer();
  await page.keyboard.press("-");
  await expectWidth(page, 854);
  await page.keyboard.press("-");
  await expectWidth(page, 640);
  await page.keyboard.press("+");
  await expectWidth(page, 854);
  await page.keyboard.press("a");
  await expectWidth(page, 1280);
  await page.close();
});

test("a line that becomes slow makes the picture smaller, one that is fast again greater, without a stall", async () => {
  const noted = await openPlayer();
  const { page } = noted;
  const line = await visitor.context.newCDPSession(page);
  await line.send("Network.enable");
  await expectWidth(page, 1280);
  const before = await playback(page);
  await watchFrames(page);
  await throttle(line, 1_200);
  await expect.poll(async () => (await playback(page)).width, { timeout: 60_000 }).toBeLessThan(1280);
  // It finds something that the line carries, and stays there.
  await expectPlaying(page);
  await screenshot(page, "quality-throttled");
  await throttle(line, null);
  await expectWidth(page, 1280, 90_000);
  const steps = stepsOf(await takeFrames(page));
  expect(steps.greatestStepMs).toBeLessThan(frameMs);
  const after = await playback(page);
  expect(after.error).toBeNull();
  expect(after.frames).toBeGreaterThan(before.frames);
  expect(after.stalls - before.stalls).toBeLessThanOrEqual(forgiven);
  await expectClean(noted);
  await page.close();
});

test("a stream of one size is added by the dialog", async () => {
  const wall = await visit(visitor.context, `${home}/`, gateways);
  const { page } = wall;
  await page.getByRole("button", { name: "Add stream" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name").fill("One size");
  await dialog.getByRole("button", { name: "Test picture" }).click();
  await dialog.getByLabel("Chosen").check();
  for (const rung of rungs) await dialog.getByLabel(rung).waitFor();
  await screenshot(page, "dialog-ladder");
  await dialog.getByLabel("Source only").check();
  await dialog.getByRole("button", { name: "Add stream" }).click();
  await dialog.waitFor({ state: "hidden" });
  const view = async () => (await fetch(`${home}/api/v1/streams/one-size`)).json();
  expect((await view()).spec.ladder).toEqual([]);
  await removeStream(home, "one-size");
  await expectClean(wall);
  await page.close();
});

test("the wall shows pictures of streams before their previews move", async () => {
  const picture = () => fetch(`${home}/streams/demo/thumbnail.jpg`);
  await expect.poll(async () => (await picture()).status, { timeout: 60_000 }).toBe(200);
  const first = await picture();
  expect(first.headers.get("content-type")).toBe("image/jpeg");
  // A new one comes about every segment.
  await expect
    .poll(async () => (await picture()).headers.get("etag"), { timeout: 30_000 })
    .not.toBe(first.headers.get("etag"));
  const wall = await visit(visitor.context, `${home}/`, gateways);
  const asked = wall.page.waitForResponse((response) => response.url().endsWith("/thumbnail.jpg"));
  expect((await asked).status()).toBe(200);
  await wall.page
    .locator("[data-stream=demo] canvas:not([hidden]), [data-stream=demo] video:not([hidden])")
    .first()
    .waitFor();
  await expectClean(wall);
  await wall.page.close();
});
