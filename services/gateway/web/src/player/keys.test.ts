import { expect, test } from "vitest";
import { actionFor, shortcuts } from "./keys";

const press = (key: string, tag = "BODY", type = "") => ({
  key,
  ctrlKey: false,
  altKey: false,
  metaKey: false,
  focus: { tag, type },
});

test("every shortcut of the help does what it says, in either case", () => {
  for (const { keys, action } of shortcuts) {
    for (const key of keys) {
      expect(actionFor(press(key))).toBe(action);
      if (key.length === 1) expect(actionFor(press(key.toUpperCase()))).toBe(action);
    }
  }
  expect(actionFor(press("x"))).toBeNull();
});

test("no key means two things", () => {
  const keys = shortcuts.flatMap((shortcut) => shortcut.keys);
  expect(new Set(keys).size).toBe(keys.length);
});

test("the browser's own shortcuts and typing are left alone", () => {
  expect(actionFor({ ...press("f"), ctrlKey: true })).toBeNull();
  expect(actionFor({ ...press("l"), metaKey: true })).toBeNull();
  expect(actionFor(press("m", "INPUT", "text"))).toBeNull();
  expect(actionFor(press("k", "SELECT"))).toBeNull();
});

test("an element in focus keeps the keys it needs", () => {
  expect(actionFor(press(" ", "BUTTON"))).toBeNull();
  expect(actionFor(press("k", "BUTTON"))).toBe("play");
  expect(actionFor(press("ArrowUp", "INPUT", "range"))).toBeNull();
  expect(actionFor(press("m", "INPUT", "range"))).toBe("mute");
});
