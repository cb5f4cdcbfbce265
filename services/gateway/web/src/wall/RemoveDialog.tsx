// Asks before a stream is removed.
import { useEffect, useRef, useState } from "preact/hooks";
import { removeStream, setToken } from "../api/client";
import { ApiError } from "../api/problem";
import { titleOf } from "../api/streams";
import type { StreamView } from "../api/types";

export function RemoveDialog({ stream, onClose }: { stream: StreamView; onClose(changed: boolean): void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [sending, setSending] = useState(false);
  const [secret, setSecret] = useState("");
  useEffect(() => dialog.current?.showModal(), []);

  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    setSending(true);
    if (secret) setToken(secret);
    try {
      await removeStream(stream.spec.id, stream.version);
      onClose(true);
    } catch (failure) {
      const problem = failure instanceof ApiError ? failure : new ApiError(0, String(failure));
      // Somebody else was quicker: what was wanted is so.
      if (problem.status === 404) onClose(true);
      setError(problem);
      setSending(false);
    }
  };

  return (
    <dialog ref={dialog} onClose={() => onClose(false)} aria-labelledby="remove-dialog-title">
      <form class="form" onSubmit={(event) => void submit(event)}>
        <h2 id="remove-dialog-title">Remove {titleOf(stream)}?</h2>
        <p>It stops for everybody who watches it. What is kept of it goes away by the usual rules.</p>
        {error && (
          <p class="notice" role="alert">
            {error.message}
          </p>
        )}
        {error?.status === 401 && (
          <div class="field">
            <label for="remove-token">Access token</label>
            <input
              id="remove-token"
              type="password"
              autocomplete="off"
              value={secret}
              onInput={(event) => setSecret(event.currentTarget.value)}
            />
          </div>
        )}
        <div class="dialog-buttons">
          <button class="button" type="button" autoFocus onClick={() => dialog.current?.close()}>
            Keep it
          </button>
          <button class="button danger" type="submit" disabled={sending}>
            Remove
          </button>
        </div>
      </form>
    </dialog>
  );
}
