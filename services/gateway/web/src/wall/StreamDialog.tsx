// Adding a stream, and changing one.
import { useEffect, useRef, useState } from "preact/hooks";
import type { ComponentChildren } from "preact";
import { addStream, changeStream, setToken } from "../api/client";
import { ApiError, errorOf, otherErrors } from "../api/problem";
import type { StreamView } from "../api/types";
import { emptyFields, fieldsOf, idFrom, specFrom, type Fields } from "./form";

interface Props {
  /** The stream to change; null adds one. */
  edited: StreamView | null;
  onClose(changed: boolean): void;
}

const examples = [
  { label: "Test picture", source: "synthetic:" },
  { label: "File", source: "file:clips/example.mp4" },
  { label: "Web address", source: "https://" },
];

const shownFields = ["id", "name", "source", "latency", "greatestSegmentSeconds", "labels"];

export function StreamDialog({ edited, onClose }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const form = useRef<HTMLFormElement>(null);
  const [fields, setFields] = useState<Fields>(edited ? fieldsOf(edited.spec) : emptyFields);
  const [idTyped, setIdTyped] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  const [sending, setSending] = useState(false);
  const [secret, setSecret] = useState("");

  useEffect(() => dialog.current?.showModal(), []);
  useEffect(() => {
    form.current?.querySelector<HTMLElement>("[aria-invalid=true]")?.focus();
  }, [error]);

  const set = (change: Partial<Fields>): void => setFields((now) => ({ ...now, ...change }));
  const rename = (name: string): void => set(edited || idTyped ? { name } : { name, id: idFrom(name) });

  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    setSending(true);
    if (secret) setToken(secret);
    try {
      const spec = specFrom(fields, edited?.spec ?? null);
      if (edited) await changeStream(spec, edited.version);
      else await addStream(spec);
      onClose(true);
    } catch (failure) {
      setError(failure instanceof ApiError ? failure : new ApiError(0, String(failure)));
      setSending(false);
    }
  };

  const problemOf = (field: string): string | undefined =>
    error?.status === 409 && field === "id" ? error.message : errorOf(error?.fields ?? [], field);
  const elsewhere = otherErrors(error?.fields ?? [], shownFields);
  const atFields = error !== null && (error.status === 409 || error.fields.length > elsewhere.length);

  return (
    <dialog ref={dialog} onClose={() => onClose(false)} aria-labelledby="stream-dialog-title">
      <form ref={form} class="form" noValidate onSubmit={(event) => void submit(event)}>
        <h2 id="stream-dialog-title">
          {edited ? `Edit ${edited.spec.name || edited.spec.id}` : "Add a stream"}
        </h2>
        {error && !atFields && (
          <p class="notice" role="alert">
            {error.message}
            {elsewhere.map(({ field, allowed }) => ` ${field}: ${allowed}`)}
          </p>
        )}
        <Field
          name="name"
          label="Name"
          hint="As people call it; may be left empty."
          problem={problemOf("name")}
        >
          {(attributes) => (
            <input
              {...attributes}
              autoFocus
              autocomplete="off"
              value={fields.name}
              onInput={(event) => rename(event.currentTarget.value)}
            />
          )}
        </Field>
        <Field
          name="id"
          label="Id"
          hint={edited ? "Fixed for the life of a stream." : "Stands in addresses: a-z, 0-9 and hyphens."}
          problem={problemOf("id")}
        >
          {(attributes) => (
            <input
              {...attributes}
              autocomplete="off"
              autocapitalize="none"
              spellcheck={false}
              readOnly={edited !== null}
              value={fields.id}
              onInput={(event) => {
                setIdTyped(true);
                set({ id: event.currentTarget.value });
              }}
            />
          )}
        </Field>
        <Field
          name="source"
          label="Source"
          hint="rtsp://… of a camera (without its password), file: and a path below the media folder, http(s)://… of a file, or synthetic: for a test picture."
          problem={problemOf("source")}
          after={
            !edited && (
              <div class="examples">
                {examples.map(({ label, source }) => (
                  <button key={label} class="chip" type="button" onClick={() => set({ source })}>
                    {label}
                  </button>
                ))}
              </div>
            )
          }
        >
          {(attributes) => (
            <input
              {...attributes}
              autocomplete="off"
              autocapitalize="none"
              spellcheck={false}
              inputMode="url"
              value={fields.source}
              onInput={(event) => set({ source: event.currentTarget.value })}
            />
          )}
        </Field>
        <div class="pair">
          <Field
            name="latency"
            label="Latency"
            hint="Low: about a second behind."
            problem={problemOf("latency")}
          >
            {(attributes) => (
              <select
                {...attributes}
                value={fields.latency}
                onChange={(event) =>
                  set({ latency: event.currentTarget.value === "normal" ? "normal" : "low" })
                }
              >
                <option value="low">Low</option>
                <option value="normal">Normal</option>
              </select>
            )}
          </Field>
          <Field
            name="greatestSegmentSeconds"
            label="Longest segment, seconds"
            hint={edited ? "Fixed for the life of a stream." : "2 to 20; 6 if left empty."}
            problem={problemOf("greatestSegmentSeconds")}
          >
            {(attributes) => (
              <input
                {...attributes}
                type="number"
                inputMode="numeric"
                min="2"
                max="20"
                readOnly={edited !== null}
                value={fields.greatestSegmentSeconds}
                onInput={(event) => set({ greatestSegmentSeconds: event.currentTarget.value })}
              />
            )}
          </Field>
        </div>
        <Field name="labels" label="Labels" hint="site=yard, floor=2" problem={problemOf("labels")}>
          {(attributes) => (
            <input
              {...attributes}
              autocomplete="off"
              autocapitalize="none"
              value={fields.labels}
              onInput={(event) => set({ labels: event.currentTarget.value })}
            />
          )}
        </Field>
        {error?.status === 401 && (
          <Field name="token" label="Access token" hint="Kept in this tab only." problem={undefined}>
            {(attributes) => (
              <input
                {...attributes}
                type="password"
                autocomplete="off"
                value={secret}
                onInput={(event) => setSecret(event.currentTarget.value)}
              />
            )}
          </Field>
        )}
        <div class="dialog-buttons">
          <button class="button" type="button" onClick={() => dialog.current?.close()}>
            Cancel
          </button>
          <button class="button primary" type="submit" disabled={sending}>
            {edited ? "Save" : "Add stream"}
          </button>
        </div>
      </form>
    </dialog>
  );
}

interface FieldProps {
  name: string;
  label: string;
  hint: string;
  problem: string | undefined;
  after?: ComponentChildren;
  children(attributes: {
    id: string;
    name: string;
    "aria-describedby": string;
    "aria-invalid": boolean;
  }): ComponentChildren;
}

function Field({ name, label, hint, problem, after, children }: FieldProps) {
  const id = `field-${name}`;
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children({ id, name, "aria-describedby": `${id}-hint`, "aria-invalid": problem !== undefined })}
      <p id={`${id}-hint`} class={problem ? "problem" : "hint"}>
        {problem ?? hint}
      </p>
      {after}
    </div>
  );
}
