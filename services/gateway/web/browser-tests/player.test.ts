// The player: it plays, goes on playing, and obeys.
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import type { Page } from "playwright-core";
import {
  expectClean,
  expectPlaying,
  expectSteady,
  figure,
  openBrowser,
  playback,
  screenshot,
  visit,
  type Visitor,
} from "./browser";

const system = inject("system");
const gateways = system.gateways.map(({ url }) => url);
const home = gateways[0]!;
let visitor: Visitor;

beforeAll(async () => {
  visitor = await openBrowser();
});
afterAll(() => visitor.close());

test("the demo stream plays with its sound track, near the live edge", async () => {
  const noted = await visit(visitor.context, `${home}/watch/demo`, gateways);
  const { page } = noted;
  const reported = page.waitForResponse((response) => response.url().endsWith("/api/v1/qoe"));
  await expectPlaying(page);
  expect(await playback(page)).toMatchObject({ width: 1280, muted: false, error: null });
  await page.keyboard.press("i");
  await expect.poll(() => figure(page, "behind").textContent(), { timeout: 20_000 }).toMatch(/^[0-2]\.\d s$/);
  await expectSteady([page], 15);
  await page.keyboard.press("i");
  await screenshot(page, "player");
  const report = await reported;
  expect(report.status()).toBeLessThan(300);
  expect(report.request().postDataJSON()).toMatchObject([{ stream: "demo", player: "web", sequence: 0 }]);
  await expectClean(noted);
  await page.close();
});

test("the wall and two players at once: a minute without a stall or an error", async () => {
  const wall = await visit(visitor.context, `${home}/`, gateways);
  const players = [
    await visit(visitor.context, `${home}/watch/demo`, gateways),
    await visit(visitor.context, `${home}/watch/demo`, gateways),
  ];
  const pages = players.map(({ page }) => page);
  for (const page of pages) await expectPlaying(page);
  await expectPlaying(wall.page);
  await expectSteady(pages, 60);
  await screenshot(wall.page, "wall");
  for (const noted of [wall, ...players]) {
    await expectClean(noted);
    await noted.page.close();
  }
});

describe("by keyboard", () => {
  let page: Page;
  beforeAll(async () => {
    ({ page } = await visit(visitor.context, `${home}/watch/demo`, gateways));
    await expectPlaying(page);
  });
  afterAll(() => page.close());

  const volume = () => page.evaluate(() => document.querySelector("video")!.volume);

  test("K and space pause and go on at the live picture", async () => {
    await page.keyboard.press("k");
    expect((await playback(page)).paused).toBe(true);
    await page.keyboard.press("Space");
    await expectPlaying(page);
    await expect
      .poll(() => figure(page, "latency").textContent(), { timeout: 20_000 })
      .toMatch(/^[0-3]\.\d s$/);
  });

  test("M takes the sound away and brings it back", async () => {
    await page.keyboard.press("m");
    expect((await playback(page)).muted).toBe(true);
    await page.keyboard.press("m");
    expect((await playback(page)).muted).toBe(false);
  });

  test("the arrows change the volume", async () => {
    const before = await volume();
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowDown");
    expect(await volume()).toBeCloseTo(before - 0.2);
    await page.keyboard.press("ArrowUp");
    expect(await volume()).toBeCloseTo(before - 0.1);
  });

  test("F goes to full screen and back", async () => {
    await page.keyboard.press("f");
    await page.waitForFunction(() => document.fullscreenElement?.classList.contains("screen"));
    await page.keyboard.press("f");
    await page.waitForFunction(() => document.fullscreenElement === null);
  });

  test("? shows what the keys do, Escape puts it away", async () => {
    await page.keyboard.press("?");
    await page.getByRole("dialog").getByText("Play or pause").waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "hidden" });
  });

  test("every control can be reached with Tab and has a name", async () => {
    const names: string[] = [];
    for (let i = 0; i < 12; i++) {
      await page.keyboard.press("Tab");
      names.push(
        await page.evaluate(() => {
          const focus = document.activeElement;
          return focus?.getAttribute("aria-label") ?? focus?.textContent ?? "";
        }),
      );
    }
    for (const name of ["All streams", "Pause", "Sound off", "Volume", "Quality", "Full screen"]) {
      expect(names).toContain(name);
    }
  });
});

test("the quality menu names the picture's height", async () => {
  const { page } = await visit(visitor.context, `${home}/watch/demo`, gateways);
  await expectPlaying(page);
  const menu = page.getByLabel("Quality");
  const options = () => menu.locator("option").allTextContents();
  await expect.poll(async () => (await options()).slice(0, 2)).toEqual(["Auto (720p)", "720p"]);
  await menu.selectOption("720p");
  await expectSteady([page], 3);
  await page.close();
});
