// Looks at every frame that a page shows: the time in its picture beside its time in the media.
import type { Page } from "playwright-core";
import { columns, readCells, rows } from "./clock-code";

export interface Frame {
  /** Where the frame stands in the media, in milliseconds. */
  mediaMs: number;
  /** When it was captured, as its picture says, in milliseconds since 1970; null where that cannot be read. */
  clockMs: number | null;
  width: number;
}

interface Raw {
  mediaMs: number;
  width: number;
  cells: number[];
}

type Window = { frames: Raw[] };

/** Begins to look at frames. */
export async function watchFrames(page: Page): Promise<void> {
  await page.evaluate(
    ([across, down]) => {
      const frames: Raw[] = [];
      Object.assign(window, { frames });
      const video = document.querySelector("video")!;
      const canvas = document.createElement("canvas");
      // Ten pixels a cell: reading back whole pictures would slow the player down.
      canvas.width = across * 10;
      canvas.height = down * 10;
      const context = canvas.getContext("2d", { willReadFrequently: true })!;
      const onFrame = (_now: number, { mediaTime, width }: VideoFrameCallbackMetadata): void => {
        context.drawImage(video, 0, 0, canvas.width, canvas.height);
        const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
        const cells: number[] = [];
        for (let row = 0; row < down; row++) {
          for (let column = 0; column < across; column++) {
            cells.push(data[((row * 10 + 5) * canvas.width + column * 10 + 5) * 4 + 1]!);
          }
        }
        frames.push({ mediaMs: mediaTime * 1000, width, cells });
        video.requestVideoFrameCallback(onFrame);
      };
      video.requestVideoFrameCallback(onFrame);
    },
    [columns, rows] as [number, number],
  );
}

/** The frames since the last time. */
export async function takeFrames(page: Page): Promise<Frame[]> {
  const raw = await page.evaluate(() => (window as never as Window).frames.splice(0));
  return raw.map(({ mediaMs, width, cells }) => ({
    mediaMs,
    width,
    clockMs: readCells((column, row) => cells[row * columns + column]! > 127),
  }));
}

export interface Steps {
  /** Frames whose clock could be read. */
  read: number;
  /** Widths of the pictures, in the order in which they came. */
  widths: number[];
  /** How far the clock in the picture ran away from the media's time at most where the size changed. */
  greatestStepMs: number;
}

/** What the frames say of changes from one size to another. */
export function stepsOf(frames: readonly Frame[]): Steps {
  const readable = frames.filter((frame): frame is Frame & { clockMs: number } => frame.clockMs !== null);
  const widths: number[] = [];
  let greatestStepMs = 0;
  readable.forEach((frame, index) => {
    if (widths.at(-1) !== frame.width) widths.push(frame.width);
    const before = readable[index - 1];
    if (!before || before.width === frame.width) return;
    const step = Math.abs(frame.clockMs - before.clockMs - (frame.mediaMs - before.mediaMs));
    greatestStepMs = Math.max(greatestStepMs, step);
  });
  return { read: readable.length, widths, greatestStepMs };
}
