// Keyboard control: which key does what. The same table is what the help shows.

export type Action =
  | "play"
  | "mute"
  | "louder"
  | "quieter"
  | "better"
  | "smaller"
  | "auto"
  | "full screen"
  | "picture in picture"
  | "live"
  | "details"
  | "help";

export const shortcuts: readonly { keys: readonly string[]; shown: string; action: Action; does: string }[] =
  [
    { keys: [" ", "k"], shown: "Space or K", action: "play", does: "Play or pause" },
    { keys: ["m"], shown: "M", action: "mute", does: "Sound on or off" },
    { keys: ["ArrowUp"], shown: "↑", action: "louder", does: "Louder" },
    { keys: ["ArrowDown"], shown: "↓", action: "quieter", does: "Quieter" },
    { keys: ["+"], shown: "+", action: "better", does: "Better picture" },
    { keys: ["-"], shown: "−", action: "smaller", does: "Smaller picture" },
    { keys: ["a"], shown: "A", action: "auto", does: "Leave the quality to the player" },
    { keys: ["f"], shown: "F", action: "full screen", does: "Full screen" },
    { keys: ["p"], shown: "P", action: "picture in picture", does: "Picture in picture" },
    { keys: ["l", "ArrowRight", "End"], shown: "L or →", action: "live", does: "Jump to the live picture" },
    { keys: ["i"], shown: "I", action: "details", does: "Show or hide the figures" },
    { keys: ["?"], shown: "?", action: "help", does: "This list" },
  ];

export interface Press {
  key: string;
  ctrlKey: boolean;
  altKey: boolean;
  metaKey: boolean;
  /** The kind of element that has the focus, in capitals as `tagName` has it, and its `type`. */
  focus: { tag: string; type: string };
}

/** What a key press asks for; null leaves it to the browser and to the element in focus. */
export function actionFor(press: Press): Action | null {
  if (press.ctrlKey || press.altKey || press.metaKey) return null;
  const { tag, type } = press.focus;
  const typing = tag === "TEXTAREA" || tag === "SELECT" || (tag === "INPUT" && type !== "range");
  if (typing) return null;
  // A button in focus is pressed by space, and a slider moved by arrows and End: theirs first.
  if ((tag === "BUTTON" || tag === "A" || tag === "SUMMARY") && press.key === " ") return null;
  if (tag === "INPUT" && /^(Arrow|End)/.test(press.key)) return null;
  const key = press.key.length === 1 ? press.key.toLowerCase() : press.key;
  return shortcuts.find(({ keys }) => keys.includes(key))?.action ?? null;
}
