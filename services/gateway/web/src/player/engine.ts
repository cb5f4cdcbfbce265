// Plays one stream into a video element and keeps it playing: hls.js, the pace, and what to do when
// something fails. The rules are plain functions in the files beside; this is their effects.
import Hls, { Events, ErrorTypes, type ErrorData } from "hls.js";
import { controllerFor, keepEstimate, keptEstimate, type Wish } from "./abr";
import { masterPath } from "./address";
import { Gateways } from "./gateways";
import { Cushion, Jumps, pace, partHoldBack } from "./latency";
import { loaderFor } from "./loader";
import { neighbour, trackOf, type LevelInfo } from "./quality";
import { Recovery } from "./recovery";
import { lowLatency } from "./settings";
import type { Trouble } from "./words";

const tickMs = 250;
/** A seek of our own makes the element wait for data: that is no stall. */
const seekGraceMs = 500;
/** What has ended does not begin again at once. */
const afterEndMs = 2_000;

export interface EngineListener {
  /** Something the page shows has changed. */
  changed(): void;
  /** The first picture is on the screen, by the page's monotonic clock. */
  firstPicture(nowMs: number): void;
  playing(nowMs: number): void;
  stalled(nowMs: number): void;
  paused(nowMs: number): void;
  switched(): void;
  /** An error that the viewer notices: playback starts afresh. */
  failed(): void;
  failedOver(times: number): void;
}

export class Engine {
  readonly gateways = new Gateways(location.origin);
  status: Trouble["status"] = "connecting";
  unreachable = false;
  cause: Trouble["cause"] = null;
  levels: LevelInfo[] = [];
  /** Whether the browser let us play only without sound. */
  soundBlocked = false;
  /** Whether the browser waits for the viewer to press play. */
  playBlocked = false;
  #hls: Hls | null = null;
  /** The track of the level that the viewer chose. */
  #chosenTrack: string | null = null;
  #wish: Wish = { level: null };
  #recovery = new Recovery();
  #cushion = new Cushion(performance.now());
  #jumps = new Jumps();
  /** PART-HOLD-BACK of the playlists, in seconds; null where parts are not announced. */
  #holdBack: number | null = null;
  #sinceMs = performance.now();
  #retryAtMs: number | null = null;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  #ticker: ReturnType<typeof setInterval>;
  #seekedAtMs = -Infinity;
  #hadPicture = false;
  #failoversTold = 0;
  #expectedLive = true;
  #destroyed = false;
  #listening = new AbortController();

  constructor(
    readonly video: HTMLVideoElement,
    /** Holds the last picture while the player starts afresh. */
    readonly still: HTMLCanvasElement,
    readonly streamId: string,
    readonly listener: EngineListener,
  ) {
    const { signal } = this.#listening;
    video.addEventListener("playing", () => this.#become("playing"), { signal });
    video.addEventListener("waiting", this.#onWaiting, { signal });
    video.addEventListener("pause", () => this.#become("paused"), { signal });
    video.addEventListener("ended", this.#onEnded, { signal });
    addEventListener("online", () => this.nudge(), { signal });
    addEventListener(
      "pagehide",
      () => {
        if (this.#hadPicture && this.#hls) keepEstimate(this.#hls.bandwidthEstimate);
      },
      { signal },
    );
    this.#ticker = setInterval(() => this.#tick(), tickMs);
    if (Hls.isSupported()) this.#open();
    else this.cause = "unsupported";
  }

  destroy(): void {
    this.#destroyed = true;
    if (this.#hadPicture && this.#hls) keepEstimate(this.#hls.bandwidthEstimate);
    this.#listening.abort();
    clearInterval(this.#ticker);
    clearTimeout(this.#retryTimer);
    this.#hls?.destroy();
    this.#hls = null;
  }

  get trouble(): Trouble {
    const nowMs = performance.now();
    return {
      status: this.status,
      forMs: nowMs - this.#sinceMs,
      unreachable: this.unreachable,
      cause: this.cause,
      seen: this.#hadPicture,
      retryInMs: this.#retryAtMs === null ? null : Math.max(0, this.#retryAtMs - nowMs),
    };
  }

  get currentLevel(): number {
    return this.#hls?.currentLevel ?? -1;
  }

  /** The level that the viewer chose; -1 leaves it to the player. */
  get chosenLevel(): number {
    return this.levels.findIndex(({ track }) => track === this.#chosenTrack);
  }

  /** What the line carries, in bit/s, as far as it was measured. */
  get bandwidth(): number | null {
    return this.#hadPicture ? (this.#hls?.bandwidthEstimate ?? null) : null;
  }

  /** The time of capture of the picture shown, as the playlist tells it. */
  get playingDate(): Date | null {
    return this.#hls?.playingDate ?? null;
  }

  /** Media buffered ahead of the playhead, in seconds. */
  get ahead(): number {
    const { buffered, currentTime } = this.video;
    for (let i = 0; i < buffered.length; i++) {
      if (buffered.start(i) <= currentTime + 0.1 && currentTime <= buffered.end(i)) {
        return buffered.end(i) - currentTime;
      }
    }
    return 0;
  }

  /** Changes over to a level at the start of the next segment; -1 leaves it to the player. */
  setLevel(level: number): void {
    this.#chosenTrack = this.levels[level]?.track ?? null;
    this.#wish.level = this.#chosenTrack === null ? null : level;
    const hls = this.#hls;
    // Until it has changed over, hls.js goes by what its controller says, which knows the wish.
    if (hls) hls.loadLevel = hls.loadLevel === level ? level : -1;
    this.listener.changed();
  }

  /** The next better (1) or next smaller (-1) level. */
  stepLevel(step: 1 | -1): void {
    const from = this.chosenLevel >= 0 ? this.chosenLevel : this.currentLevel;
    this.setLevel(neighbour(this.levels, from, step));
  }

  togglePlay(): void {
    if (this.video.ended) {
      this.nudge();
    } else if (this.video.paused) {
      this.#hls?.startLoad();
      this.toLive();
      void this.#play();
    } else {
      this.video.pause();
      // A live picture that nobody watches need not be loaded.
      this.#hls?.stopLoad();
    }
  }

  /** Jumps to the live position. */
  toLive(): void {
    const position = this.#hls?.liveSyncPosition;
    if (position === null || position === undefined || !this.#hadPicture) return;
    if (position > this.video.currentTime + 0.2) {
      this.#seekedAtMs = performance.now();
      this.video.currentTime = position;
    }
  }

  /** The stream's phase changed: one that is live again is worth a fresh start at once. */
  expectLive(live: boolean): void {
    if (live && !this.#expectedLive && this.status !== "playing" && this.status !== "paused")
      this.startAfresh();
    this.#expectedLive = live;
  }

  /** Tries again at once, if there is something to try. */
  nudge(): void {
    if (this.#retryAtMs !== null) void this.#retry();
    else if (this.status === "stalled" || this.status === "connecting") this.#hls?.startLoad();
  }

  /** The viewer asked for a fresh start. */
  startAfresh(): void {
    if (this.#retryAtMs === null) this.#scheduleRetry();
    void this.#retry();
  }

  #open(): void {
    this.#wish.level = null;
    const hls = new Hls({
      ...lowLatency,
      abrEwmaDefaultEstimate: keptEstimate(),
      abrController: controllerFor(this.#wish),
      loader: loaderFor(this.gateways, {
        reached: () => this.#setUnreachable(false),
        unreachable: () => this.#setUnreachable(true),
        playlist: (text) => {
          this.#holdBack = partHoldBack(text) ?? this.#holdBack;
          this.#aim(hls);
        },
      }),
    });
    this.#hls = hls;
    hls.on(Events.MANIFEST_PARSED, (_event, { levels }) => {
      this.levels = levels.map(({ height, bitrate, frameRate, videoCodec, uri }) => ({
        height,
        bitrate,
        frameRate,
        codec: videoCodec ?? "",
        track: trackOf(uri),
      }));
      // A fresh start does not undo what the viewer chose.
      const { chosenLevel } = this;
      if (chosenLevel >= 0) {
        this.#wish.level = chosenLevel;
        hls.loadLevel = chosenLevel;
      }
      this.cause = null;
      this.listener.changed();
    });
    hls.on(Events.LEVEL_SWITCHING, (_event, data) => {
      // From here on it holds to the choice by itself.
      if (data.level === this.#wish.level) hls.loadLevel = data.level;
    });
    let level = -1;
    hls.on(Events.LEVEL_SWITCHED, (_event, data) => {
      if (level !== -1 && level !== data.level) this.listener.switched();
      level = data.level;
      this.listener.changed();
    });
    hls.on(Events.ERROR, (_event, data) => this.#onError(hls, data));
    hls.loadSource(new URL(masterPath(this.streamId), location.href).href);
    hls.attachMedia(this.video);
    this.video.requestVideoFrameCallback(() => {
      if (this.#hls !== hls) return;
      this.still.hidden = true;
      this.#jumps.begun(performance.now());
      if (!this.#hadPicture) this.listener.firstPicture(performance.now());
      this.#hadPicture = true;
    });
    void this.#play();
  }

  /** Tells hls.js how far from the live edge to play: that is where it starts, and where a jump leads. */
  #aim(hls: Hls): void {
    if (this.#holdBack !== null) hls.targetLatency = this.#holdBack + this.#cushion.seconds;
  }

  async #play(): Promise<void> {
    const { video } = this;
    this.playBlocked = false;
    try {
      await video.play();
      return;
    } catch (error) {
      if (!(error instanceof DOMException) || error.name !== "NotAllowedError") return;
    }
    // Without a click on this site, browsers play only without sound.
    if (!video.muted) {
      video.muted = true;
      this.soundBlocked = true;
      try {
        await video.play();
      } catch {
        this.playBlocked = true;
      }
    } else {
      this.playBlocked = true;
    }
    this.listener.changed();
  }

  #onError(hls: Hls, data: ErrorData): void {
    if (this.#hls !== hls || !data.fatal) return;
    const nowMs = performance.now();
    if (data.type === ErrorTypes.MEDIA_ERROR || data.type === ErrorTypes.MUX_ERROR) {
      if (this.#recovery.mediaError(nowMs) === "recover in place") {
        hls.recoverMediaError();
        void this.#play();
        return;
      }
      this.cause = "media";
    } else if (!this.#hadPicture && data.response?.code === 404) {
      this.cause = "absent";
    } else {
      this.cause = null;
    }
    this.#scheduleRetry();
  }

  #scheduleRetry(): void {
    if (this.#retryAtMs !== null) return;
    this.#hls?.stopLoad();
    // Before the first picture, waiting for a stream to begin is no failure.
    if (this.#hadPicture) this.listener.failed();
    this.#arm(this.#recovery.nextDelayMs());
  }

  #arm(waitMs: number): void {
    clearTimeout(this.#retryTimer);
    this.#retryAtMs = performance.now() + waitMs;
    this.#retryTimer = setTimeout(() => void this.#retry(), waitMs);
    this.listener.changed();
  }

  /** Starts afresh once the playlist can be had: until then the last picture stays where it is. */
  async #retry(): Promise<void> {
    clearTimeout(this.#retryTimer);
    const origin = this.gateways.current;
    const master = this.gateways.at(new URL(masterPath(this.streamId), location.href).href);
    let status = 0;
    try {
      status = (await fetch(master, { cache: "no-store", signal: AbortSignal.timeout(12_000) })).status;
    } catch {
      // Counted below as a gateway that does not answer.
    }
    if (this.#destroyed || this.#retryAtMs === null) return;
    if (status === 0 || status >= 500) this.gateways.failed(origin, performance.now(), status !== 503);
    this.#setUnreachable(status === 0);
    if (status < 200 || status >= 300) {
      // What has been seen and is no longer there was removed.
      if (status === 404) this.cause = this.#hadPicture ? "ended" : "absent";
      this.#arm(this.#recovery.nextDelayMs());
      return;
    }
    this.#retryAtMs = null;
    this.#keepStill();
    this.#hls?.destroy();
    this.#become("connecting");
    this.#open();
    this.listener.changed();
  }

  /** Copies the picture to the canvas beneath: a new media source blanks the video. */
  #keepStill(): void {
    const { video, still } = this;
    if (video.videoWidth === 0 || !still.hidden) return;
    still.width = video.videoWidth;
    still.height = video.videoHeight;
    still.getContext("2d")?.drawImage(video, 0, 0);
    still.hidden = false;
  }

  #onWaiting = (): void => {
    const seeking = this.video.seeking || performance.now() - this.#seekedAtMs < seekGraceMs;
    if (this.status !== "playing" || seeking) return;
    // With media ahead it is the decoder that lags: no cushion helps it.
    if (this.ahead < 0.3) this.#cushion.stalled(performance.now());
    this.#jumps.stalled(performance.now());
    this.#become("stalled");
  };

  /** The stream was removed. One of the same id may come after it. */
  #onEnded = (): void => {
    this.cause = "ended";
    this.#become("stalled");
    this.#hls?.stopLoad();
    if (this.#retryAtMs === null) this.#arm(afterEndMs);
  };

  #become(status: Trouble["status"]): void {
    if (this.status === status || this.#destroyed) return;
    // A media source that is taken away or recovered pauses the element: nobody asked for that.
    if (
      status === "paused" &&
      (this.#retryAtMs !== null || !this.#hls?.media || this.video.error || this.video.ended)
    )
      return;
    const nowMs = performance.now();
    this.status = status;
    this.#sinceMs = nowMs;
    if (status === "playing") {
      this.cause = null;
      this.playBlocked = false;
      this.listener.playing(nowMs);
    } else if (status === "paused") {
      this.listener.paused(nowMs);
    } else {
      this.listener.stalled(nowMs);
    }
    this.listener.changed();
  }

  #setUnreachable(unreachable: boolean): void {
    const failovers = this.gateways.failovers - this.#failoversTold;
    if (failovers > 0) {
      this.#failoversTold = this.gateways.failovers;
      this.listener.failedOver(failovers);
    }
    if (this.unreachable === unreachable) return;
    this.unreachable = unreachable;
    this.listener.changed();
  }

  #tick(): void {
    const nowMs = performance.now();
    const { video, status } = this;
    this.#recovery.observe(status === "playing", nowMs);
    const hls = this.#hls;
    if (!hls || this.#retryAtMs !== null) return;
    if (status === "playing" && !video.seeking && hls.latency > 0) {
      const { ahead } = this;
      this.#cushion.observe(ahead, nowMs);
      this.#aim(hls);
      const next = pace({
        latency: hls.latency,
        target: hls.targetLatency ?? hls.latency,
        ahead,
        rate: video.playbackRate,
        jumpFrom: this.#jumps.from(nowMs),
      });
      if (next.seek) {
        this.#jumps.jumped(nowMs);
        this.toLive();
      } else if (next.rate !== video.playbackRate) video.playbackRate = next.rate;
    }
    // A source that is away, or a gateway, is waited for; all else that stands still is stuck.
    const stuck = status === "stalled" || status === "connecting";
    if (stuck && this.#expectedLive && !this.unreachable && !this.playBlocked) {
      if (this.#recovery.isStuck(nowMs - this.#sinceMs)) this.#scheduleRetry();
    }
  }
}
