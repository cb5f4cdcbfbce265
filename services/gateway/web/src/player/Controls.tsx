// The row of controls below the picture.
import { Icon } from "../design/Icon";
import type { Action } from "./keys";
import { latencyWords } from "./latency";
import { qualities } from "./quality";
import type { Watch } from "./watch";

interface Props {
  watch: Watch | null;
  video: HTMLVideoElement | null;
  act(action: Action): void;
}

/** Up to here the picture counts as live: the dot is green. */
const atEdgeMs = 4_000;

export function Controls({ watch, video, act }: Props) {
  const engine = watch?.engine;
  const paused = video?.paused ?? true;
  const silent = !video || video.muted || video.volume === 0;
  const latencyMs = watch?.latencyMs ?? null;
  const atEdge = engine?.status === "playing" && latencyMs !== null && latencyMs < atEdgeMs;
  const choices = engine ? qualities(engine.levels, engine.currentLevel) : [];
  const chosen = engine?.chosenLevel ?? -1;
  const full = document.fullscreenElement !== null;

  return (
    <div class="controls" role="group" aria-label="Player controls">
      <Press name={paused ? "play" : "pause"} label={paused ? "Play" : "Pause"} onPress={() => act("play")} />
      <Press
        name={silent ? "muted" : "sound"}
        label={silent ? "Sound on" : "Sound off"}
        onPress={() => act("mute")}
      />
      <input
        class="volume"
        type="range"
        min="0"
        max="1"
        step="0.05"
        aria-label="Volume"
        value={silent ? 0 : (video?.volume ?? 1)}
        onInput={(event) => {
          if (!video) return;
          video.volume = Number(event.currentTarget.value);
          video.muted = false;
        }}
      />
      <button
        class={`live-button ${atEdge ? "at-edge" : ""}`}
        type="button"
        title="Jump to the live picture"
        aria-label={`Live, ${latencyMs === null ? "delay not known" : `${latencyWords(latencyMs)} behind`}. Jump to the live picture`}
        onClick={() => act("live")}
      >
        Live <span data-figure="latency">{latencyWords(latencyMs)}</span>
      </button>
      <div class="space" />
      {choices.length > 0 && (
        <select
          class="quality"
          aria-label="Quality"
          title="Quality (+ and −, A for Auto)"
          value={String(chosen)}
          onChange={(event) => engine?.setLevel(Number(event.currentTarget.value))}
        >
          {choices.map(({ level, label }) => (
            <option key={level} value={String(level)}>
              {label}
            </option>
          ))}
        </select>
      )}
      <Press name="figures" label="Figures" onPress={() => act("details")} />
      <Press name="help" label="Keyboard shortcuts" onPress={() => act("help")} wide />
      {document.pictureInPictureEnabled && (
        <Press
          name="picture in picture"
          label="Picture in picture"
          onPress={() => act("picture in picture")}
          wide
        />
      )}
      <Press
        name={full ? "leave full screen" : "full screen"}
        label={full ? "Leave full screen" : "Full screen"}
        onPress={() => act("full screen")}
      />
    </div>
  );
}

interface PressProps {
  name: Parameters<typeof Icon>[0]["name"];
  label: string;
  /** Left out on phones, which have neither the room nor the keys. */
  wide?: boolean;
  onPress(): void;
}

function Press({ name, label, wide, onPress }: PressProps) {
  return (
    <button
      class={`icon-button ${wide ? "wide" : ""}`}
      type="button"
      aria-label={label}
      title={label}
      onClick={onPress}
    >
      <Icon name={name} />
    </button>
  );
}
