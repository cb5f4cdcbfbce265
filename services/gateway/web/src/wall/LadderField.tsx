// The choice of sizes that are made of a stream.
import { useEffect, useState } from "preact/hooks";
import { info } from "../api/client";
import type { Rung } from "../api/types";
import { choosable, rungWords, type Fields, type LadderChoice } from "./form";

interface Props {
  fields: Fields;
  problem: string | undefined;
  set(change: Partial<Fields>): void;
}

const choices: readonly { choice: LadderChoice; label: string }[] = [
  { choice: "default", label: "Default" },
  { choice: "source", label: "Source only" },
  { choice: "chosen", label: "Chosen" },
];

export function LadderField({ fields, problem, set }: Props) {
  const [rungs, setRungs] = useState<Rung[] | null>(null);
  useEffect(() => {
    let current = true;
    info()
      .then((answer) => current && setRungs(answer.rungs ?? []))
      .catch(() => current && setRungs([]));
    return () => {
      current = false;
    };
  }, []);

  const toggle = (id: string, wanted: boolean): void =>
    set({ rungs: wanted ? [...fields.rungs, id] : fields.rungs.filter((other) => other !== id) });
  const hint =
    fields.ladder === "default"
      ? "Smaller pictures are made beside the source, so that slow lines can watch, too."
      : fields.ladder === "source"
        ? "Nothing is made beside the source: no CPU, and one quality."
        : rungs?.length === 0
          ? "This deployment makes nothing beside the source."
          : "Sizes that are not below the source's are left out.";

  return (
    <fieldset class="field ladder" aria-describedby="field-ladder-hint" name="ladder">
      <legend>Sizes</legend>
      <div class="choices">
        {choices.map(({ choice, label }) => (
          <label key={choice} class="choice">
            <input
              type="radio"
              name="ladder"
              value={choice}
              checked={fields.ladder === choice}
              onChange={() => set({ ladder: choice })}
            />
            {label}
          </label>
        ))}
      </div>
      {fields.ladder === "chosen" && (
        <div class="rungs">
          {choosable(rungs ?? [], fields.latency).map(({ rung, can }) => (
            <label key={rung.id} class="choice" title={can ? undefined : "Needs latency Normal"}>
              <input
                type="checkbox"
                name="rungs"
                value={rung.id}
                disabled={!can && !fields.rungs.includes(rung.id)}
                checked={fields.rungs.includes(rung.id)}
                onChange={(event) => toggle(rung.id, event.currentTarget.checked)}
              />
              <span>
                <b>{rung.id}</b> <span class="hint">{rungWords(rung)}</span>
              </span>
            </label>
          ))}
        </div>
      )}
      <p id="field-ladder-hint" class={problem ? "problem" : "hint"}>
        {problem ?? hint}
      </p>
    </fieldset>
  );
}
