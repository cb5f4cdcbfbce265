// Starts and ends the previews of the wall as `whoPlays` decides.
import { whoPlays, type Preview } from "./slots";

/** What a card lends the director. */
export interface Stage {
  id: string;
  master: string;
  video: HTMLVideoElement;
  /** Shows the picture that the preview stopped at. */
  still: HTMLCanvasElement;
  /** Whether the picture moves, stands still, or was never there. */
  showing(what: "moving" | "still"): void;
}

interface Entry extends Preview {
  stage: Stage;
  visible: boolean;
  live: boolean;
  end: (() => void) | null;
}

/** A preview that failed is left alone for this long. */
const pauseAfterFailureMs = 10_000;
const tickMs = 1_000;

/** Viewers who want less motion, or save data, get stills that are renewed in turns. */
const wantsStills = (): boolean =>
  matchMedia("(prefers-reduced-motion: reduce)").matches ||
  (navigator as { connection?: { saveData?: boolean } }).connection?.saveData === true;

/** A still is good for this long. */
const stillMs = 30_000;

export class Director {
  #entries = new Map<Element, Entry>();
  #observer = new IntersectionObserver(
    (changes) => {
      for (const change of changes) {
        const entry = this.#entries.get(change.target);
        if (entry) entry.visible = change.isIntersecting;
      }
      this.#decide();
    },
    { threshold: 0.25 },
  );
  #ticker = setInterval(() => this.#decide(), tickMs);
  #listening = new AbortController();

  constructor() {
    document.addEventListener("visibilitychange", () => this.#decide(), { signal: this.#listening.signal });
  }

  destroy(): void {
    this.#listening.abort();
    clearInterval(this.#ticker);
    this.#observer.disconnect();
    for (const entry of this.#entries.values()) entry.end?.();
    this.#entries.clear();
  }

  add(card: Element, stage: Stage): void {
    this.#entries.set(card, {
      id: stage.id,
      stage,
      visible: false,
      live: false,
      wanted: false,
      playingSinceMs: null,
      stoppedAtMs: -Infinity,
      end: null,
    });
    this.#observer.observe(card);
  }

  remove(card: Element): void {
    this.#observer.unobserve(card);
    this.#entries.get(card)?.end?.();
    this.#entries.delete(card);
    this.#decide();
  }

  setLive(card: Element, live: boolean): void {
    const entry = this.#entries.get(card);
    if (!entry || entry.live === live) return;
    entry.live = live;
    this.#decide();
  }

  #decide(): void {
    const nowMs = performance.now();
    const stills = wantsStills();
    for (const entry of this.#entries.values()) {
      const rests = stills && nowMs - entry.stoppedAtMs < stillMs;
      entry.wanted = entry.visible && entry.live && !document.hidden && !rests;
    }
    const plays = whoPlays([...this.#entries.values()], nowMs);
    for (const entry of this.#entries.values()) {
      const should = plays.has(entry.id);
      if (should && entry.playingSinceMs === null && nowMs >= entry.stoppedAtMs) this.#start(entry, stills);
      else if (!should && entry.playingSinceMs !== null) this.#stop(entry, performance.now());
    }
  }

  #start(entry: Entry, stills: boolean): void {
    entry.playingSinceMs = performance.now();
    let ended = false;
    entry.end = () => {
      ended = true;
    };
    const { stage } = entry;
    // hls.js is only loaded when there is something to show.
    void import("./preview").then(({ startPreview }) => {
      if (ended) return;
      entry.end = startPreview(
        stage.video,
        stage.master,
        () => {
          if (stills) this.#stop(entry, performance.now());
          else stage.showing("moving");
        },
        () => this.#stop(entry, performance.now() + pauseAfterFailureMs),
      );
    });
  }

  #stop(entry: Entry, stoppedAtMs: number): void {
    const { video, still } = entry.stage;
    if (video.videoWidth > 0 && video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA) {
      still.width = video.videoWidth;
      still.height = video.videoHeight;
      still.getContext("2d")?.drawImage(video, 0, 0);
      entry.stage.showing("still");
    }
    entry.end?.();
    entry.end = null;
    entry.playingSinceMs = null;
    entry.stoppedAtMs = stoppedAtMs;
  }
}
