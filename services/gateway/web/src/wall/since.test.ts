import { expect, test } from "vitest";
import { sinceWords } from "./since";

test("today is told by the time of day, before that with the date", () => {
  const now = new Date(2030, 4, 17, 14, 0, 0).getTime();
  const at = (...parts: [number, number, number, number, number, number]) =>
    new Date(...parts).getTime() * 1000;
  expect(sinceWords(at(2030, 4, 17, 9, 5, 7), now, "en-GB")).toBe("09:05:07");
  expect(sinceWords(at(2030, 4, 16, 9, 5, 7), now, "en-GB")).toMatch(/^16 May,? (at )?09:05$/);
});
