// One stream on the wall: its picture, its name, how it fares.
import { useEffect, useRef, useState } from "preact/hooks";
import { sentence, titleOf, wordForPhase } from "../api/streams";
import { transcodeWords } from "../api/transcode";
import type { Problem, StreamView } from "../api/types";
import { Icon } from "../design/Icon";
import { masterPath, watchPath } from "../player/address";
import type { Director } from "./director";
import { sinceWords } from "./since";

interface Props {
  stream: StreamView;
  director: Director;
  onEdit(): void;
  onRemove(): void;
}

export function StreamCard({ stream, director, onEdit, onRemove }: Props) {
  const card = useRef<HTMLLIElement>(null);
  const video = useRef<HTMLVideoElement>(null);
  const still = useRef<HTMLCanvasElement>(null);
  const [showing, setShowing] = useState<"nothing" | "moving" | "still">("nothing");
  const { id, labels = {} } = stream.spec;
  const title = titleOf(stream);
  const live = stream.phase === "live";
  const transcoding = transcodeWords(stream, Date.now());

  useEffect(() => {
    const element = card.current;
    if (!element || !video.current || !still.current) return;
    const stage = {
      id,
      master: masterPath(id),
      video: video.current,
      still: still.current,
      showing: setShowing,
    };
    director.add(element, stage);
    return () => director.remove(element);
  }, [director, id]);

  useEffect(() => {
    if (card.current) director.setLive(card.current, live);
  }, [director, live]);

  return (
    <li class="card" ref={card} data-stream={id}>
      <a class="card-link" href={watchPath(id)} aria-label={`Watch ${title}, ${wordForPhase(stream.phase)}`}>
        <div class={`card-picture ${live ? "" : "dimmed"}`}>
          <Icon name="camera" />
          <canvas ref={still} hidden={showing !== "still"} aria-hidden="true" />
          <video
            ref={video}
            muted
            playsInline
            tabIndex={-1}
            hidden={showing !== "moving"}
            aria-hidden="true"
          />
        </div>
        <div class="card-head">
          <h2>{title}</h2>
          <span class={`badge ${stream.phase}`}>{wordForPhase(stream.phase)}</span>
        </div>
      </a>
      {stream.problem && <ProblemWords problem={stream.problem} />}
      {transcoding && <p class="card-problem aside">{transcoding}</p>}
      <div class="card-foot">
        <ul class="labels" aria-label="Labels">
          {Object.entries(labels).map(([key, value]) => (
            <li key={key}>{value ? `${key}: ${value}` : key}</li>
          ))}
        </ul>
        <button class="icon-button" type="button" aria-label={`Edit ${title}`} title="Edit" onClick={onEdit}>
          <Icon name="edit" />
        </button>
        <button
          class="icon-button"
          type="button"
          aria-label={`Remove ${title}`}
          title="Remove"
          onClick={onRemove}
        >
          <Icon name="remove" />
        </button>
      </div>
    </li>
  );
}

function ProblemWords({ problem }: { problem: Problem }) {
  return (
    <p class="card-problem">
      {sentence(problem.message)}{" "}
      <span class="aside">
        Since {sinceWords(problem.since, Date.now())}. {sentence(problem.next)}
      </span>
    </p>
  );
}
