// Measures how far the picture on the screen is behind the camera, and how soon the first picture comes.
//
//   npm run --silent glass                      Reelay's demo stream, and MediaMTX's if Go is there
//   npm run --silent glass -- --url URL         any page whose video shows the camera's clock code
//
// One line of JSON a system on standard output.
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";
import { readCells, rows, columns } from "./clock-code";
import { startPeer } from "./peer";
import { startSystem } from "./system";

const { values } = parseArgs({
  args: process.argv.slice(2).filter((argument) => argument !== "--"),
  options: {
    url: { type: "string" },
    /** `reelay` or `mediamtx`: measures that one alone. */
    only: { type: "string" },
    seconds: { type: "string", default: "40" },
    /** How often the page is opened afresh to time its first picture. */
    openings: { type: "string", default: "7" },
  },
});
const seconds = Number(values.seconds);
const openings = Number(values.openings);
/** Start-up is not part of the latency. */
const settleSeconds = 5;

/** The value below which the share `part` of all lie. */
function percentile(sorted: readonly number[], part: number): number | null {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? null;
}

interface Seen {
  firstPictureMs: number | null;
  waits: number;
  /** For each frame that was looked at: when, and how bright the middle of each cell was. */
  frames: { atMs: number; cells: number[] }[];
  sampling: boolean;
}

/** Runs in the page, before its own scripts. */
function observe([across, down]: [number, number]): void {
  const seen: Seen = { firstPictureMs: null, waits: 0, frames: [], sampling: false };
  Object.assign(window, { seen });
  const canvas = document.createElement("canvas");
  // Ten pixels a cell: reading back whole pictures would slow down what is measured.
  canvas.width = across * 10;
  canvas.height = down * 10;
  const context = canvas.getContext("2d", { willReadFrequently: true })!;
  const watched = new WeakSet<HTMLVideoElement>();
  document.addEventListener(
    "loadedmetadata",
    ({ target }) => {
      const video = target as HTMLVideoElement;
      if (watched.has(video)) return;
      watched.add(video);
      let count = 0;
      const onFrame = (): void => {
        const atMs = performance.timeOrigin + performance.now();
        seen.firstPictureMs ??= performance.now();
        if (seen.sampling && count++ % 5 === 0) {
          context.drawImage(video, 0, 0, canvas.width, canvas.height);
          const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
          const cells: number[] = [];
          for (let row = 0; row < down; row++) {
            for (let column = 0; column < across; column++) {
              cells.push(data[((row * 10 + 5) * canvas.width + column * 10 + 5) * 4 + 1]!);
            }
          }
          seen.frames.push({ atMs, cells });
        }
        video.requestVideoFrameCallback(onFrame);
      };
      video.requestVideoFrameCallback(onFrame);
      video.addEventListener("waiting", () => {
        if (seen.sampling && !video.seeking) seen.waits += 1;
      });
    },
    true,
  );
}

async function measure(name: string, url: string): Promise<void> {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required"],
  });
  try {
    const open = async () => {
      // A context of its own: nothing of an earlier visit is in the cache.
      const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
      const page = await context.newPage();
      await page.addInitScript(observe, [columns, rows] as [number, number]);
      await page.goto(url);
      await page.waitForFunction(
        () => (window as never as { seen: Seen }).seen.firstPictureMs !== null,
        undefined,
        { timeout: 30_000, polling: 50 },
      );
      return { context, page };
    };
    const firstPictures: number[] = [];
    for (let i = 0; i < openings; i++) {
      const { context, page } = await open();
      firstPictures.push(
        await page.evaluate(() => (window as never as { seen: Seen }).seen.firstPictureMs ?? 0),
      );
      await context.close();
    }
    const { page } = await open();
    await page.waitForTimeout(settleSeconds * 1000);
    await page.evaluate(() => ((window as never as { seen: Seen }).seen.sampling = true));
    await page.waitForTimeout(seconds * 1000);
    const { frames, waits } = await page.evaluate(() => (window as never as { seen: Seen }).seen);

    const latencies = frames
      .flatMap(({ atMs, cells }) => {
        const time = readCells((column, row) => cells[row * columns + column]! > 127);
        return time === null ? [] : [atMs - time];
      })
      .sort((a, b) => a - b);
    firstPictures.sort((a, b) => a - b);
    const whole = (ms: number | null) => (ms === null ? null : Math.round(ms));
    console.log(
      JSON.stringify({
        name,
        seconds,
        samples: latencies.length,
        unreadable: frames.length - latencies.length,
        latencyP50Ms: whole(percentile(latencies, 0.5)),
        latencyP95Ms: whole(percentile(latencies, 0.95)),
        latencyGreatestMs: whole(latencies.at(-1) ?? null),
        stalls: waits,
        openings,
        firstPictureP50Ms: whole(percentile(firstPictures, 0.5)),
        firstPictureGreatestMs: whole(firstPictures.at(-1) ?? null),
      }),
    );
  } finally {
    await browser.close();
  }
}

if (values.url) {
  await measure(values.url, values.url);
} else {
  // One after the other: they would take the processor from each other.
  if (values.only !== "mediamtx") {
    const system = await startSystem();
    try {
      await measure("reelay", `${system.gateways[0]!.url}/watch/demo`); // there is always one
    } finally {
      await system.stop();
    }
  }
  const peer = values.only === "reelay" ? null : await startPeer();
  if (peer) {
    try {
      await measure("mediamtx", peer.url);
    } finally {
      await peer.stop();
    }
  }
}
