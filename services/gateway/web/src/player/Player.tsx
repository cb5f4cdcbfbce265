// The player's page: the picture with its words and controls, and the stream's name and state.
import { useEffect, useLayoutEffect, useReducer, useRef, useState } from "preact/hooks";
import { titleOf, wordForPhase } from "../api/streams";
import { transcodeWords } from "../api/transcode";
import { Icon } from "../design/Icon";
import { Controls } from "./Controls";
import { Figures } from "./Figures";
import { Help } from "./Help";
import { actionFor, type Action } from "./keys";
import { keepSound, keptSound, stepped } from "./sound";
import { Watch } from "./watch";
import { wordsFor } from "./words";

/** In full screen the controls go away after this long without a move. */
const idleAfterMs = 2_500;

export function Player({ id }: { id: string }) {
  const screen = useRef<HTMLDivElement>(null);
  const video = useRef<HTMLVideoElement>(null);
  const still = useRef<HTMLCanvasElement>(null);
  const watch = useRef<Watch | null>(null);
  const [, redraw] = useReducer((count: number) => count + 1, 0);
  const [helping, setHelping] = useState(false);
  const [figures, setFigures] = useState(false);
  const [idle, setIdle] = useState(false);

  useLayoutEffect(() => {
    if (!video.current || !still.current) return;
    const { volume, muted } = keptSound();
    video.current.volume = volume;
    video.current.muted = muted;
    const current = new Watch(id, video.current, still.current, () => redraw(undefined));
    watch.current = current;
    redraw(undefined);
    return () => current.destroy();
  }, [id]);

  const act = (action: Action): void => {
    const element = video.current;
    const { engine } = watch.current ?? {};
    if (!element || !engine) return;
    switch (action) {
      case "play":
        engine.togglePlay();
        break;
      case "mute":
        element.muted = !element.muted;
        if (!element.muted && element.volume === 0) element.volume = 0.5;
        break;
      case "louder":
      case "quieter":
        element.muted = false;
        element.volume = stepped(element.volume, action === "louder" ? 1 : -1);
        break;
      case "better":
        engine.stepLevel(1);
        break;
      case "smaller":
        engine.stepLevel(-1);
        break;
      case "auto":
        engine.setLevel(-1);
        break;
      case "full screen":
        if (document.fullscreenElement) void document.exitFullscreen();
        else void screen.current?.requestFullscreen?.().catch(() => undefined);
        break;
      case "picture in picture":
        if (document.pictureInPictureElement) void document.exitPictureInPicture();
        else if (document.pictureInPictureEnabled) {
          void element.requestPictureInPicture().catch(() => undefined);
        }
        break;
      case "live":
        if (element.paused) engine.togglePlay();
        else engine.toLive();
        break;
      case "details":
        setFigures((shown) => !shown);
        break;
      case "help":
        setHelping((shown) => !shown);
        break;
    }
  };

  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      const focus = event.target instanceof HTMLElement ? event.target : document.body;
      if (focus.closest("dialog") && event.key !== "?") return;
      const type = focus instanceof HTMLInputElement ? focus.type : "";
      const action = actionFor({
        key: event.key,
        ctrlKey: event.ctrlKey,
        altKey: event.altKey,
        metaKey: event.metaKey,
        focus: { tag: focus.tagName, type },
      });
      // A key held down repeats: louder may, a switch may not.
      if (!action || (event.repeat && action !== "louder" && action !== "quieter")) return;
      event.preventDefault();
      act(action);
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);

  useEffect(() => {
    const element = video.current;
    if (!element) return;
    const onVolume = (): void => {
      const engine = watch.current?.engine;
      // Sound that the browser, not the viewer, turned off is not remembered as a choice.
      if (engine?.soundBlocked && element.muted) return;
      if (engine) engine.soundBlocked = false;
      keepSound({ volume: element.volume, muted: element.muted });
      redraw(undefined);
    };
    element.addEventListener("volumechange", onVolume);
    return () => element.removeEventListener("volumechange", onVolume);
  }, []);

  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const onMove = (): void => {
      clearTimeout(timer);
      setIdle(false);
      timer = setTimeout(() => setIdle(true), idleAfterMs);
    };
    const onFullScreen = (): void => {
      onMove();
      redraw(undefined);
    };
    const events = ["pointermove", "pointerdown", "keydown"] as const;
    for (const event of events) addEventListener(event, onMove);
    document.addEventListener("fullscreenchange", onFullScreen);
    return () => {
      clearTimeout(timer);
      for (const event of events) removeEventListener(event, onMove);
      document.removeEventListener("fullscreenchange", onFullScreen);
    };
  }, []);

  const current = watch.current;
  const stream = current?.stream;
  const title = stream ? titleOf(stream) : id;
  useEffect(() => {
    document.title = `${title} · Reelay`;
  }, [title]);

  const engine = current?.engine;
  const words = engine ? wordsFor(engine.trouble, stream) : null;
  const transcoding = stream ? transcodeWords(stream, Date.now()) : null;
  const busy = words?.tone === "busy";

  return (
    <div class="watch">
      <header class="watch-bar">
        <a class="icon-button" href="/" aria-label="All streams" title="All streams">
          <Icon name="back" />
        </a>
        <h1>{title}</h1>
        {stream && <span class={`badge ${stream.phase}`}>{wordForPhase(stream.phase)}</span>}
      </header>
      <main class="watch-main">
        <div class={`screen ${idle ? "idle" : ""}`} ref={screen}>
          <div
            class={`picture ${words ? "dimmed" : ""}`}
            onDblClick={() => act("full screen")}
            data-status={engine?.status}
          >
            <canvas ref={still} hidden aria-hidden="true" />
            <video ref={video} playsInline aria-label={`Live picture of ${title}`} />
            <div role="status" aria-live="polite">
              {words && (
                <div class="words">
                  {busy && <div class="spinner" aria-hidden="true" />}
                  <h2>{words.title}</h2>
                  {words.detail && <p>{words.detail}</p>}
                  {words.retry && (
                    <button class="button" type="button" onClick={() => engine?.startAfresh()}>
                      Try again
                    </button>
                  )}
                </div>
              )}
            </div>
            {engine?.playBlocked && (
              <button class="big-play" type="button" aria-label="Play" onClick={() => act("play")}>
                <Icon name="play" />
              </button>
            )}
            {engine?.soundBlocked && (
              <button class="button sound-hint" type="button" onClick={() => act("mute")}>
                <Icon name="muted" /> Turn on the sound
              </button>
            )}
          </div>
          <Controls watch={current} video={video.current} act={act} />
        </div>
        {figures && current && video.current && <Figures watch={current} video={video.current} />}
        {transcoding && (
          <p class="below" role="status">
            {transcoding}
          </p>
        )}
        {stream && <Labels labels={stream.spec.labels ?? {}} />}
      </main>
      <Help open={helping} onClose={() => setHelping(false)} />
    </div>
  );
}

function Labels({ labels }: { labels: Record<string, string> }) {
  const entries = Object.entries(labels);
  if (entries.length === 0) return null;
  return (
    <div class="below">
      {entries.map(([key, value]) => (
        <span key={key}>
          {key}: {value}
        </span>
      ))}
    </div>
  );
}
