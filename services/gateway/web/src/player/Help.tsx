// The list of keyboard shortcuts.
import { useEffect, useRef } from "preact/hooks";
import { shortcuts } from "./keys";

export function Help({ open, onClose }: { open: boolean; onClose(): void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (open) dialog.current?.showModal();
    else dialog.current?.close();
  }, [open]);
  return (
    <dialog ref={dialog} onClose={onClose} aria-labelledby="help-title">
      <h2 id="help-title">Keyboard shortcuts</h2>
      <dl class="shortcuts">
        {shortcuts.map(({ shown, does }) => [
          <dt key={shown}>
            <kbd>{shown}</kbd>
          </dt>,
          <dd key={does}>{does}</dd>,
        ])}
      </dl>
      <div class="dialog-buttons">
        <button class="button primary" type="button" onClick={onClose}>
          Close
        </button>
      </div>
    </dialog>
  );
}
