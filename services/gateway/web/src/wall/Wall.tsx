// The wall: all streams of the deployment with their pictures and their health.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { inOrder, summary, titleOf } from "../api/streams";
import type { Streams, StreamView } from "../api/types";
import { Updates } from "../api/updates";
import { Icon } from "../design/Icon";
import { Director } from "./director";
import { RemoveDialog } from "./RemoveDialog";
import { StreamCard } from "./StreamCard";
import { StreamDialog } from "./StreamDialog";

/** Fewer streams than this are found without a search. */
const searchFrom = 9;

type Open = { dialog: "add" } | { dialog: "edit" | "remove"; stream: StreamView } | null;

export function Wall() {
  const [streams, setStreams] = useState<Streams | null>(null);
  const [connected, setConnected] = useState(true);
  const [open, setOpen] = useState<Open>(null);
  const [search, setSearch] = useState("");
  const updates = useRef<Updates | null>(null);
  const director = useMemo(() => new Director(), []);

  useEffect(() => {
    const current = new Updates({ streams: setStreams, connected: setConnected });
    updates.current = current;
    return () => {
      current.stop();
      director.destroy();
    };
  }, [director]);

  const close = (changed: boolean): void => {
    setOpen(null);
    if (changed) updates.current?.refresh();
  };

  const wanted = search.trim().toLowerCase();
  const shown = inOrder(streams ?? new Map()).filter(
    (stream) =>
      !wanted ||
      `${titleOf(stream)} ${stream.spec.id} ${Object.values(stream.spec.labels ?? {}).join(" ")}`
        .toLowerCase()
        .includes(wanted),
  );

  return (
    <div class="wall">
      <header class="wall-bar">
        <h1>
          <img src="/favicon.svg" alt="" width="28" height="28" /> Reelay
        </h1>
        <p class="summary" role="status">
          {streams && streams.size > 0 && summary(streams)}
        </p>
        {streams && streams.size >= searchFrom && (
          <input
            class="search"
            type="search"
            aria-label="Find a stream"
            placeholder="Find a stream"
            value={search}
            onInput={(event) => setSearch(event.currentTarget.value)}
          />
        )}
        {streams && streams.size > 0 && (
          <button class="button primary" type="button" onClick={() => setOpen({ dialog: "add" })}>
            <Icon name="add" /> Add stream
          </button>
        )}
      </header>
      <main>
        {!connected && (
          <p class="notice" role="alert">
            The gateway cannot be reached. What you see may be out of date; it is renewed as soon as it
            answers.
          </p>
        )}
        {streams?.size === 0 && <Empty onAdd={() => setOpen({ dialog: "add" })} />}
        <ul class="grid" aria-busy={streams === null}>
          {shown.map((stream) => (
            <StreamCard
              key={`${stream.spec.id} ${stream.spec.uid ?? ""}`}
              stream={stream}
              director={director}
              onEdit={() => setOpen({ dialog: "edit", stream })}
              onRemove={() => setOpen({ dialog: "remove", stream })}
            />
          ))}
        </ul>
        {wanted && shown.length === 0 && <p class="none">No stream matches “{search.trim()}”.</p>}
      </main>
      {open?.dialog === "add" && <StreamDialog edited={null} onClose={close} />}
      {open?.dialog === "edit" && <StreamDialog edited={open.stream} onClose={close} />}
      {open?.dialog === "remove" && <RemoveDialog stream={open.stream} onClose={close} />}
    </div>
  );
}

function Empty({ onAdd }: { onAdd(): void }) {
  return (
    <section class="empty">
      <Icon name="camera" />
      <h2>No streams yet</h2>
      <p>
        Add a file, a web address, or a test picture: it is live here a few seconds later. On the command
        line, <code>reelay streams add</code> does the same.
      </p>
      <button class="button primary" type="button" onClick={onAdd}>
        <Icon name="add" /> Add stream
      </button>
    </section>
  );
}
