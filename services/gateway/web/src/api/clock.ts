// The gateway's clock as this page sees it: the viewer's own may be minutes off, and the latency
// read-out is a difference between the two.
import { info } from "./client";
import type { Info } from "./types";

/** The page's own clock, milliseconds since 1970; monotonic, other than `Date.now()`. */
export const localNow = (): number => performance.timeOrigin + performance.now();

export interface ClockSample {
  offsetMs: number;
  /** Half the round trip: the sample is at most this far off. */
  uncertaintyMs: number;
}

/** As NTP has it: the server read its clock halfway between question and answer. */
export function clockSample(sentMs: number, receivedMs: number, serverMs: number): ClockSample {
  return {
    offsetMs: serverMs - (sentMs + receivedMs) / 2,
    uncertaintyMs: Math.max(0, receivedMs - sentMs) / 2,
  };
}

/** The sample of the quickest answer tells most. */
export function bestSample(samples: readonly ClockSample[]): ClockSample | null {
  return samples.reduce<ClockSample | null>(
    (best, sample) => (best && best.uncertaintyMs <= sample.uncertaintyMs ? best : sample),
    null,
  );
}

/**
 * Asks the gateway for its clock (and what else it tells of itself). The times come from the browser's
 * resource timing where it has them: a request may wait behind others for one of the six HTTP/1.1 connections.
 */
export async function askClock(): Promise<{ info: Info; sample: ClockSample | null }> {
  // The buffer of timings is bounded, and the segments of a player fill it.
  performance.clearResourceTimings();
  const sent = localNow();
  const answer = await info();
  const received = localNow();
  const server = Date.parse(answer.now);
  if (Number.isNaN(server)) return { info: answer, sample: null };
  const entries = performance.getEntriesByName(new URL("/api/v1/info", location.href).href, "resource");
  const timing = entries.at(-1) as PerformanceResourceTiming | undefined;
  if (timing?.requestStart && performance.timeOrigin + timing.requestStart >= sent) {
    const { requestStart, responseStart } = timing;
    return {
      info: answer,
      sample: clockSample(
        performance.timeOrigin + requestStart,
        performance.timeOrigin + responseStart,
        server,
      ),
    };
  }
  return { info: answer, sample: clockSample(sent, received, server) };
}
