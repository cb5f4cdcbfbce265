import { expect, test } from "vitest";
import { due, unknown } from "./thumbnails";

const entry = (id: string, nextMs: number) => ({ id, picture: { etag: null, nextMs } });

test("those that have waited longest are asked for, a few at a time", () => {
  const entries = [entry("a", 900), entry("b", 500), entry("c", 2_000), entry("d", 700)];
  expect(due(entries, 0, 1_000).map(({ id }) => id)).toEqual(["b", "d"]);
  expect(due(entries, 1, 1_000).map(({ id }) => id)).toEqual(["b"]);
  expect(due(entries, 2, 1_000)).toEqual([]);
  expect(due([{ picture: unknown }], 0, 0)).toHaveLength(1);
});
