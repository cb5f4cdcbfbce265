// What the viewer sees when something fails: as little as can be, and clear words otherwise.
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { addStream, control, removeStream } from "./api";
import {
  expectClean,
  expectPlaying,
  figure,
  openBrowser,
  playback,
  screenshot,
  visit,
  type Visitor,
} from "./browser";

const system = inject("system");
const gateways = system.gateways.map(({ url }) => url);
const [home, other] = gateways as [string, string];
let visitor: Visitor;

beforeAll(async () => {
  visitor = await openBrowser();
});
afterAll(() => visitor.close());

test("when a gateway is killed, the player goes on with the other", async () => {
  const noted = await visit(visitor.context, `${home}/watch/demo`, gateways);
  const { page } = noted;
  await expectPlaying(page);
  await page.keyboard.press("i");
  // It learns of the other gateway with the first answer of /api/v1/info.
  await expect.poll(() => figure(page, "behind").textContent(), { timeout: 20_000 }).toMatch(/ s$/);
  const before = await playback(page);
  await control(system, "kill gateway 0");
  try {
    await expect
      .poll(() => figure(page, "gateway").textContent(), { timeout: 20_000 })
      .toBe(new URL(other).host);
    await expectPlaying(page);
    const after = await playback(page);
    // The same player plays on: not one that began anew.
    expect(after.frames).toBeGreaterThan(before.frames);
    expect(after.currentTime).toBeGreaterThan(before.currentTime);
    expect(after.error).toBeNull();
    expect(await page.locator(".words").count()).toBe(0);
    await screenshot(page, "failover");
  } finally {
    await control(system, "restart gateway 0");
  }
  await expectClean(noted);
  await page.close();
});

test("without any gateway it says so, and plays by itself when one is back", async () => {
  const { page } = await visit(visitor.context, `${home}/watch/demo`, gateways);
  await expectPlaying(page);
  await control(system, "kill gateway 0");
  await control(system, "kill gateway 1");
  try {
    await page.getByRole("heading", { name: "The gateway cannot be reached" }).waitFor({ timeout: 20_000 });
    await screenshot(page, "unreachable");
  } finally {
    await control(system, "restart gateway 0");
    await control(system, "restart gateway 1");
  }
  await expectPlaying(page, 45_000);
  expect(await page.locator(".words").count()).toBe(0);
  await page.close();
});

test("a stream that is removed is said to have ended, and plays when it is added again", async () => {
  const spec = { id: "comes-and-goes", source: "synthetic:", greatestSegmentSeconds: 2 };
  await addStream(home, spec);
  const { page } = await visit(visitor.context, `${home}/watch/${spec.id}`, gateways);
  await expectPlaying(page, 60_000);
  await removeStream(home, spec.id);
  await page.getByRole("heading", { name: "This stream has ended" }).waitFor({ timeout: 30_000 });
  await screenshot(page, "removed");
  await addStream(home, spec);
  await expectPlaying(page, 60_000);
  await removeStream(home, spec.id);
  await page.close();
});

test("a source that cannot be had is put into words", async () => {
  await addStream(home, { id: "no-such-file", name: "No such file", source: "file:nowhere/nothing.mp4" });
  try {
    const wall = await visit(visitor.context, `${home}/`, gateways);
    const card = wall.page.locator("[data-stream=no-such-file]");
    await card.getByText(/nothing\.mp4/).waitFor({ timeout: 45_000 });
    const { page } = await visit(visitor.context, `${home}/watch/no-such-file`, gateways);
    await page
      .getByRole("heading", { name: /The source cannot be used|Reconnecting to the source/ })
      .waitFor({ timeout: 30_000 });
    await page.getByText(/nothing\.mp4/).waitFor();
    await screenshot(page, "no-source");
    await expectClean(wall);
    await wall.page.close();
    await page.close();
  } finally {
    await removeStream(home, "no-such-file");
  }
});
