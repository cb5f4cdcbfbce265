// The wall: streams come, change and go through its dialogs.
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { removeStream, streamView } from "./api";
import { expectClean, openBrowser, screenshot, visit, type Noted, type Visitor } from "./browser";

const system = inject("system");
const gateways = system.gateways.map(({ url }) => url);
const home = gateways[0]!;
let visitor: Visitor;
let wall: Noted;

beforeAll(async () => {
  visitor = await openBrowser();
  wall = await visit(visitor.context, `${home}/`, gateways);
});
afterAll(async () => {
  await removeStream(home, "gate-2-north");
  await visitor.close();
});

const card = (id: string) => wall.page.locator(`[data-stream=${id}]`);

test("a mistake is shown at its field", async () => {
  const { page } = wall;
  await page.getByRole("button", { name: "Add stream" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Id", { exact: true }).fill("Not a label");
  await dialog.getByLabel("Source", { exact: true }).fill("gopher://old");
  await dialog.getByRole("button", { name: "Add stream" }).click();
  for (const label of ["Id", "Source"]) {
    const field = dialog.getByLabel(label, { exact: true });
    await expect.poll(() => field.getAttribute("aria-invalid")).toBe("true");
    const told = await field.getAttribute("aria-describedby");
    expect(await page.locator(`#${told}`).textContent()).toMatch(/^Allowed: /);
  }
  await screenshot(page, "dialog-mistakes");
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await dialog.waitFor({ state: "hidden" });
});

test("a stream is added, plays on the wall, is renamed, and removed", async () => {
  const { page } = wall;
  await page.getByRole("button", { name: "Add stream" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name").fill("Gate 2, North");
  expect(await dialog.getByLabel("Id", { exact: true }).inputValue()).toBe("gate-2-north");
  await dialog.getByRole("button", { name: "Test picture" }).click();
  await dialog.getByLabel("Labels").fill("site=yard");
  await dialog.getByRole("button", { name: "Add stream" }).click();
  await dialog.waitFor({ state: "hidden" });

  await card("gate-2-north").getByText("Live").waitFor({ timeout: 45_000 });
  await card("gate-2-north").getByText("site: yard").waitFor();
  await page.waitForFunction(
    () => {
      const video = document.querySelector<HTMLVideoElement>("[data-stream=gate-2-north] video");
      return !!video && !video.hidden && video.getVideoPlaybackQuality().totalVideoFrames > 5;
    },
    undefined,
    { timeout: 45_000 },
  );

  await page.getByRole("button", { name: "Edit Gate 2, North" }).click();
  expect(await dialog.getByLabel("Id", { exact: true }).getAttribute("readonly")).not.toBeNull();
  await dialog.getByLabel("Name").fill("North gate");
  await dialog.getByRole("button", { name: "Save" }).click();
  await card("gate-2-north").getByText("North gate").waitFor({ timeout: 15_000 });
  expect((await streamView(home, "gate-2-north"))?.spec.labels).toEqual({ site: "yard" });

  await page.getByRole("button", { name: "Remove North gate" }).click();
  await dialog.getByRole("button", { name: "Remove" }).click();
  await card("gate-2-north").waitFor({ state: "detached", timeout: 15_000 });
  expect(await streamView(home, "gate-2-north")).toBeNull();
  await expectClean(wall);
});

test("previews rest in a tab that nobody sees", async () => {
  const { page } = wall;
  const playing = () =>
    page.evaluate(() => [...document.querySelectorAll("video")].filter(({ paused }) => !paused).length);
  await expect.poll(playing, { timeout: 30_000 }).toBeGreaterThan(0);
  // Headless Chromium shows every tab: what a hidden one is told is told here.
  await page.evaluate(() => {
    Object.defineProperty(document, "hidden", { value: true, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  });
  await expect.poll(playing).toBe(0);
});
