import { expect, test } from "vitest";
import { greatestPlaying, turnMs, whoPlays, type Preview } from "./slots";

const preview = (id: string, more: Partial<Preview> = {}): Preview => ({
  id,
  wanted: true,
  playingSinceMs: null,
  stoppedAtMs: -Infinity,
  ...more,
});

test("what is wanted plays while there is room, what is not does not", () => {
  const previews = [preview("a"), preview("b", { wanted: false, playingSinceMs: 0 }), preview("c")];
  expect([...whoPlays(previews, 0)]).toEqual(["a", "c"]);
});

test("nobody is put off before its turn is over", () => {
  const playing = ["a", "b", "c", "d"].map((id) => preview(id, { playingSinceMs: 1_000 }));
  const previews = [...playing, preview("e")];
  expect(whoPlays(previews, 2_000)).toEqual(new Set(["a", "b", "c", "d"]));
  expect(whoPlays(previews, 1_000 + turnMs).has("e")).toBe(true);
});

test("everybody gets a turn, few at once", () => {
  const previews = Array.from({ length: 11 }, (_, index) => preview(String(index)));
  const played = new Set<string>();
  for (let now = 0; now < turnMs * 6; now += 1_000) {
    const plays = whoPlays(previews, now);
    expect(plays.size).toBe(greatestPlaying);
    for (const each of previews) {
      if (plays.has(each.id)) {
        each.playingSinceMs ??= now;
        played.add(each.id);
      } else if (each.playingSinceMs !== null) {
        each.playingSinceMs = null;
        each.stoppedAtMs = now;
      }
    }
  }
  expect(played.size).toBe(11);
});
