// Starts and ends the previews of the wall as `whoPlays` decides, and keeps the pictures of the others new.
import { whoPlays, type Preview } from "./slots";
import { absentMs, ask, due, renewMs, unknown, type Known } from "./thumbnails";

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
  /** The preview's picture moves. */
  moving: boolean;
  picture: Known;
  asked: boolean;
}

/** Draws a picture where the card shows what does not move. */
function show({ still, showing }: Stage, picture: HTMLVideoElement | ImageBitmap): void {
  const [width, height] =
    picture instanceof HTMLVideoElement
      ? [picture.videoWidth, picture.videoHeight]
      : [picture.width, picture.height];
  still.width = width;
  still.height = height;
  still.getContext("2d")?.drawImage(picture, 0, 0);
  showing("still");
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
  #asking = 0;
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
      moving: false,
      picture: unknown,
      asked: false,
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
    this.#renew(stills, nowMs);
  }

  /** Pictures of what is on the screen and does not move; until its preview moves, of that, too. */
  #renew(stills: boolean, nowMs: number): void {
    const resting = [...this.#entries.values()].filter(
      ({ visible, live, asked, moving }) => visible && live && !asked && !moving && !document.hidden,
    );
    for (const entry of due(resting, this.#asking, nowMs)) {
      this.#asking += 1;
      entry.asked = true;
      void ask(entry.id, entry.picture.etag).then((answer) => {
        this.#asking -= 1;
        entry.asked = false;
        const waitMs = answer.what === "none" ? absentMs : stills ? stillMs : renewMs;
        const etag = answer.what === "new" ? answer.etag : entry.picture.etag;
        entry.picture = { etag, nextMs: performance.now() + waitMs };
        if (answer.what !== "new") return;
        if (!entry.moving && [...this.#entries.values()].includes(entry)) show(entry.stage, answer.bitmap);
        answer.bitmap.close();
      });
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
          if (stills) {
            this.#stop(entry, performance.now());
          } else {
            entry.moving = true;
            stage.showing("moving");
          }
        },
        () => this.#stop(entry, performance.now() + pauseAfterFailureMs),
      );
    });
  }

  #stop(entry: Entry, stoppedAtMs: number): void {
    const { video } = entry.stage;
    if (video.videoWidth > 0 && video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA) {
      show(entry.stage, video);
      // What it stopped at is newer than any picture for now.
      entry.picture = { etag: null, nextMs: performance.now() + renewMs };
    }
    entry.end?.();
    entry.end = null;
    entry.moving = false;
    entry.playingSinceMs = null;
    entry.stoppedAtMs = stoppedAtMs;
  }
}
