import { expect, test } from "vitest";
import { parseSound, stepped } from "./sound";

test("what was kept is read, nonsense is not", () => {
  expect(parseSound('{"volume":0.4,"muted":true}')).toEqual({ volume: 0.4, muted: true });
  for (const text of [null, "", "null", "[]", '{"volume":7}', '{"volume":"loud","muted":1}']) {
    expect(parseSound(text)).toEqual({ volume: 1, muted: false });
  }
});

test("steps stay within the range and on tenths", () => {
  expect(stepped(0.3, 1)).toBe(0.4);
  expect(stepped(0.95, 1)).toBe(1);
  expect(stepped(0.05, -1)).toBe(0);
  expect(stepped(1, 1)).toBe(1);
});
