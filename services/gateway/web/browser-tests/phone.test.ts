// Both pages on a phone of 390 by 844.
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import type { Page } from "playwright-core";
import { expectClean, expectPlaying, openBrowser, screenshot, visit, type Visitor } from "./browser";

const system = inject("system");
const gateways = system.gateways.map(({ url }) => url);
const home = gateways[0]!;

/** No sideways scrolling, and every control in full on the screen and large enough for a finger. */
async function expectUsable(page: Page): Promise<void> {
  const found = await page.evaluate(() => {
    const small: string[] = [];
    const outside: string[] = [];
    for (const element of document.querySelectorAll("a, button, input, select")) {
      const box = element.getBoundingClientRect();
      if (box.width === 0) continue; // not shown on a phone
      const name = element.getAttribute("aria-label") ?? element.textContent ?? element.tagName;
      if (box.left < 0 || box.right > innerWidth) outside.push(name);
      if (box.width < 36 || box.height < 36) small.push(`${name}: ${box.width} × ${box.height}`);
    }
    return { width: document.documentElement.scrollWidth, small, outside };
  });
  expect(found).toEqual({ width: 390, small: [], outside: [] });
}

describe.each(["light", "dark"] as const)("%s", (colorScheme) => {
  let visitor: Visitor;
  beforeAll(async () => {
    visitor = await openBrowser({
      viewport: { width: 390, height: 844 },
      isMobile: true,
      hasTouch: true,
      deviceScaleFactor: 2,
      colorScheme,
    });
  });
  afterAll(() => visitor.close());

  test("the player", async () => {
    const noted = await visit(visitor.context, `${home}/watch/demo`, gateways);
    await expectPlaying(noted.page);
    await noted.page.getByRole("button", { name: "Figures" }).tap();
    await expectUsable(noted.page);
    await screenshot(noted.page, `phone-player-${colorScheme}`);
    await expectClean(noted);
  });

  test("the wall and its dialog", async () => {
    const noted = await visit(visitor.context, `${home}/`, gateways);
    await noted.page.locator("[data-stream=demo]").waitFor();
    await expectPlaying(noted.page);
    await expectUsable(noted.page);
    await screenshot(noted.page, `phone-wall-${colorScheme}`);
    await noted.page.getByRole("button", { name: "Add stream" }).tap();
    await noted.page.getByRole("dialog").waitFor();
    await expectUsable(noted.page);
    await screenshot(noted.page, `phone-dialog-${colorScheme}`);
    await expectClean(noted);
  });
});
