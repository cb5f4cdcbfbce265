// What the player says over the picture: never a code, always what is wrong and what happens next.
import { sentence } from "../api/streams";
import type { StreamView } from "../api/types";

/** What keeps the engine from playing, if anything does. */
export interface Trouble {
  /** `connecting`: no picture yet. `stalled`: the picture stands still. */
  status: "connecting" | "playing" | "paused" | "stalled";
  /** How long it has been so, in milliseconds. */
  forMs: number;
  /** No gateway answers. */
  unreachable: boolean;
  cause: "absent" | "ended" | "media" | "unsupported" | null;
  /** Whether there has been a picture. */
  seen: boolean;
  /** When it is tried again, in milliseconds from now. */
  retryInMs: number | null;
}

export interface Words {
  tone: "busy" | "notice" | "problem";
  title: string;
  detail: string;
  /** Whether a button to try again at once makes sense. */
  retry: boolean;
}

/** Shorter waits are not worth words. */
const patienceMs = 800;

const again = (retryInMs: number | null): string =>
  retryInMs === null || retryInMs < 1000
    ? "Trying again now."
    : `Trying again in ${Math.round(retryInMs / 1000)} s.`;

/**
 * The words for a state of the player. `stream` is what the gateway says of the stream: undefined
 * while that is not known, null when there is no such stream.
 */
export function wordsFor(trouble: Trouble, stream: StreamView | null | undefined): Words | null {
  const { status, forMs, unreachable, cause, seen, retryInMs } = trouble;
  if (status === "playing" || status === "paused") return null;
  if (cause === "unsupported") {
    return {
      tone: "problem",
      title: "This browser cannot play live video here",
      detail: "It lacks Media Source Extensions. A current Chrome, Edge, Firefox or Safari has them.",
      retry: false,
    };
  }
  if (cause === "ended" || (stream === null && seen)) {
    return {
      tone: "notice",
      title: "This stream has ended",
      detail: "It was removed. If it is added again, it plays here by itself.",
      retry: false,
    };
  }
  if (stream === null) {
    return {
      tone: "problem",
      title: "There is no such stream",
      detail:
        "It may have been removed, or the address is mistyped. If it is added, it plays here by itself.",
      retry: false,
    };
  }
  if (forMs < patienceMs) return null;
  if (unreachable) {
    return {
      tone: "problem",
      title: "The gateway cannot be reached",
      detail: `The picture comes back by itself as soon as it answers. ${again(retryInMs)}`,
      retry: true,
    };
  }
  const problem = stream?.problem
    ? [sentence(stream.problem.message), sentence(stream.problem.next)].filter(Boolean).join(" ")
    : "";
  switch (stream?.phase) {
    case "offline":
      return {
        tone: "notice",
        title: "This stream is offline",
        detail: problem || "The picture comes back by itself when the source sends again.",
        retry: false,
      };
    case "reconnecting":
      return {
        tone: "notice",
        title: "Reconnecting to the source",
        detail: problem || "The source was lost and is tried again. The picture comes back by itself.",
        retry: false,
      };
    case "failed":
      return {
        tone: "problem",
        title: "The source cannot be used",
        detail: problem || "It is tried again now and then.",
        retry: false,
      };
    case "starting":
      return {
        tone: "busy",
        title: "The stream is starting",
        detail: problem || "The first picture comes in a moment.",
        retry: false,
      };
  }
  if (cause === "media") {
    return {
      tone: "problem",
      title: "The picture cannot be decoded",
      detail: `The player starts afresh. ${again(retryInMs)}`,
      retry: true,
    };
  }
  if (cause === "absent") {
    return {
      tone: "notice",
      title: "There is no picture yet",
      detail: `The stream has nothing to show so far. ${again(retryInMs)}`,
      retry: true,
    };
  }
  if (status === "connecting") {
    return { tone: "busy", title: "Connecting", detail: "Waiting for the first picture.", retry: false };
  }
  return {
    tone: "busy",
    title: "Waiting for the picture",
    detail: forMs > 5_000 ? "The connection may be too slow, or the source has paused." : "",
    retry: forMs > 5_000,
  };
}
