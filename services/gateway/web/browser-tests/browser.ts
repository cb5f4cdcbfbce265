// A real Chromium, and pages that note whatever should not happen in them.
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium, type BrowserContext, type Page } from "playwright-core";
import { expect } from "vitest";

const output = fileURLToPath(new URL("output/", import.meta.url));

export interface Visitor {
  context: BrowserContext;
  close(): Promise<void>;
}

/** A browser of its own, with a profile of its own. */
export async function openBrowser(options: Parameters<typeof chromium.launchPersistentContext>[1] = {}) {
  const profile = mkdtempSync(join(tmpdir(), "reelay-browser-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    headless: true,
    viewport: { width: 1280, height: 800 },
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--autoplay-policy=no-user-gesture-required",
    ],
    ...options,
  });
  await context.addInitScript(() => {
    const seen = { violations: [] as string[], stalls: [] as number[] };
    Object.assign(window, { seen });
    document.addEventListener("securitypolicyviolation", (event) =>
      seen.violations.push(`${event.violatedDirective}: ${event.blockedURI}`),
    );
    // Media events do not bubble, but they can be caught on their way down.
    document.addEventListener(
      "waiting",
      (event) => {
        const video = event.target as HTMLVideoElement;
        if (video.seeking || video.getVideoPlaybackQuality().totalVideoFrames === 0) return;
        const { buffered, currentTime } = video;
        const ranges = Array.from({ length: buffered.length }, (_, i) => [
          buffered.start(i),
          buffered.end(i),
        ]);
        const range = ranges.find(([from, to]) => from! <= currentTime + 0.05 && currentTime <= to!);
        // With media ahead, it is the decoder of an overloaded machine that waits: no stall of the stream.
        if (!range || range[1]! - currentTime < 0.15) seen.stalls.push(performance.now());
      },
      true,
    );
  });
  const close = async (): Promise<void> => {
    await context.close();
    rmSync(profile, { recursive: true, force: true });
  };
  return { context, close } satisfies Visitor;
}

export interface Noted {
  page: Page;
  /** Addresses asked of hosts that are none of the gateways. */
  strangers: string[];
  errors: string[];
}

/** Opens a page and notes errors in it and requests to hosts other than the gateways. */
export async function visit(context: BrowserContext, address: string, gateways: string[]): Promise<Noted> {
  const page = await context.newPage();
  const strangers: string[] = [];
  const errors: string[] = [];
  const known = new Set(gateways.map((url) => new URL(url).host));
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (/^(https?|wss?):$/.test(url.protocol) && !known.has(url.host)) strangers.push(request.url());
  });
  page.on("pageerror", (error) => errors.push(error.message));
  await page.goto(address);
  return { page, strangers, errors };
}

/** Nothing was asked of other hosts, the CSP was kept, and no script failed. */
export async function expectClean({ page, strangers, errors }: Noted): Promise<void> {
  expect(strangers).toEqual([]);
  expect(errors).toEqual([]);
  expect(await page.evaluate(() => (window as never as { seen: Seen }).seen.violations)).toEqual([]);
}

interface Seen {
  violations: string[];
  stalls: number[];
}

export interface Playback {
  atMs: number;
  currentTime: number;
  paused: boolean;
  muted: boolean;
  width: number;
  frames: number;
  /** Bytes of sound decoded so far: only Chromium tells. */
  audioBytes: number;
  error: string | null;
  /** How often playback ran out of media after it had begun. */
  stalls: number;
  status: string | undefined;
}

export async function playback(page: Page): Promise<Playback> {
  return page.evaluate(() => {
    const video = document.querySelector("video");
    if (!video) throw new Error("there is no video on this page");
    const { webkitAudioDecodedByteCount } = video as unknown as { webkitAudioDecodedByteCount: number };
    return {
      atMs: performance.now(),
      currentTime: video.currentTime,
      paused: video.paused,
      muted: video.muted,
      width: video.videoWidth,
      frames: video.getVideoPlaybackQuality().totalVideoFrames,
      audioBytes: webkitAudioDecodedByteCount,
      error: video.error?.message ?? null,
      stalls: (window as never as { seen: Seen }).seen.stalls.length,
      status: document.querySelector<HTMLElement>("[data-status]")?.dataset.status,
    };
  });
}

/** Waits until the picture moves. */
export async function expectPlaying(page: Page, withinMs = 30_000): Promise<void> {
  await page.waitForFunction(
    () => {
      const video = document.querySelector("video");
      if (!video) return false;
      const kept = window as never as { lastFrames?: number };
      const { totalVideoFrames } = video.getVideoPlaybackQuality();
      // A new media source counts from 0 again: what matters is that frames come.
      const moved = kept.lastFrames !== undefined && totalVideoFrames > kept.lastFrames + 4;
      if (kept.lastFrames === undefined || totalVideoFrames < kept.lastFrames || moved) {
        kept.lastFrames = totalVideoFrames;
      }
      return moved && !video.paused && video.readyState >= 3;
    },
    undefined,
    { timeout: withinMs, polling: 250 },
  );
}

/**
 * How many stalls are forgiven: none where STRICT_PLAYBACK is set (`make soak`, which has the machine to
 * itself), a few elsewhere. Tests share the machine with builds and other tests, and on a busy one no
 * player, server or decoder keeps time.
 */
const forgiven = process.env.STRICT_PLAYBACK ? 0 : 3;

/** Watches pages for a while: sound and picture go on all the time, without a stall or an error. */
export async function expectSteady(pages: Page[], seconds: number): Promise<void> {
  const before = await Promise.all(pages.map(playback));
  const end = Date.now() + seconds * 1000;
  let last = before;
  // The passing of time is what is tested here; every few seconds, so that a failure says when.
  while (Date.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, Math.min(5_000, end - Date.now())));
    const now = await Promise.all(pages.map(playback));
    now.forEach((state, index) => {
      const earlier = last[index]!; // the same pages
      expect(state, `page ${index} after ${state.atMs} ms`).toMatchObject({ error: null, paused: false });
      const stalls = state.stalls - before[index]!.stalls;
      if (stalls > 0) console.warn(`page ${index} has stalled ${stalls} times after ${state.atMs} ms`);
      expect(stalls, `stalls of page ${index}`).toBeLessThanOrEqual(forgiven);
      expect(state.frames).toBeGreaterThan(earlier.frames);
      expect(state.audioBytes).toBeGreaterThan(earlier.audioBytes);
    });
    last = now;
  }
  last.forEach((state, index) => {
    const passed = (state.atMs - before[index]!.atMs) / 1000;
    const advanced = state.currentTime - before[index]!.currentTime;
    // Within the pace that holding back and catching up allow, and a part of a second.
    expect(advanced).toBeGreaterThan(passed * 0.95 - 0.5 - forgiven);
    expect(advanced).toBeLessThan(passed * 1.07 + 0.5 + forgiven);
  });
}

/** Keeps a screenshot in the output folder, which git does not see. */
export async function screenshot(page: Page, name: string): Promise<void> {
  mkdirSync(output, { recursive: true });
  await page.screenshot({ path: join(output, `${name}.png`) });
}

/** A figure of the player, such as `latency`. */
export const figure = (page: Page, name: string) => page.locator(`[data-figure=${name}]`).last();
