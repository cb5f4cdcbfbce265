import { expect, test } from "vitest";
import {
  choosable,
  emptyFields,
  fieldsOf,
  idFrom,
  labelsFrom,
  labelsText,
  rungWords,
  specFrom,
} from "./form";

test("a name makes a valid id", () => {
  expect(idFrom("Gate 2, North")).toBe("gate-2-north");
  expect(idFrom("  Hofeinfahrt Süd – Straße ")).toBe("hofeinfahrt-sud-strasse");
  expect(idFrom("---")).toBe("");
  const long = idFrom(`${"a".repeat(62)} b`);
  expect(long).toBe("a".repeat(62));
});

test("labels go to text and back", () => {
  const labels = { site: "yard", note: "a=b" };
  expect(labelsText(labels)).toBe("site=yard, note=a=b");
  expect(labelsFrom(labelsText(labels))).toEqual(labels);
  expect(labelsFrom(" , floor = 2 ,\n new")).toEqual({ floor: "2", new: "" });
  expect(labelsFrom("")).toEqual({});
});

test("what a new stream leaves empty is not sent", () => {
  const spec = specFrom({ ...emptyFields, id: " cam ", source: " synthetic: " }, null);
  expect(spec).toEqual({ id: "cam", source: "synthetic:", latency: "low", labels: {} });
});

test("an edit keeps what the dialog does not show", () => {
  const edited = {
    id: "cam",
    uid: "u",
    name: "Old",
    source: "file:a.mp4",
    latency: "low" as const,
    greatestSegmentSeconds: 4,
    partition: 3,
    ladder: ["360p"],
    labels: { a: "b" },
  };
  expect(specFrom(fieldsOf(edited), edited)).toEqual(edited);
  expect(specFrom({ ...fieldsOf(edited), name: "", id: "other" }, edited)).toEqual({
    id: "cam",
    uid: "u",
    source: "file:a.mp4",
    latency: "low",
    greatestSegmentSeconds: 4,
    partition: 3,
    ladder: ["360p"],
    labels: { a: "b" },
  });
});

test("a ladder is left to the deployment, the source alone, or chosen", () => {
  const base = { ...emptyFields, id: "cam", source: "synthetic:" };
  expect("ladder" in specFrom(base, null)).toBe(false);
  expect(specFrom({ ...base, ladder: "source" }, null).ladder).toEqual([]);
  const chosen = specFrom({ ...base, ladder: "chosen", rungs: ["480p"] }, null);
  expect(chosen.ladder).toEqual(["480p"]);
  expect(fieldsOf(chosen)).toMatchObject({ ladder: "chosen", rungs: ["480p"] });
  expect(fieldsOf(specFrom({ ...base, ladder: "source" }, null)).ladder).toBe("source");
  // An edit can give the choice back to the deployment.
  expect("ladder" in specFrom({ ...fieldsOf(chosen), ladder: "default" }, chosen)).toBe(false);
});

test("what low latency cannot have is shown, and cannot be chosen", () => {
  const rungs = [
    { id: "source-h264", height: 1080, codec: "h264" as const, cap: 6_000_000 },
    { id: "240p", height: 240, codec: "h264" as const, cap: 400_000 },
    { id: "480p-av1", height: 480, codec: "av1" as const, cap: 700_000 },
  ];
  expect(choosable(rungs, "low").map(({ rung, can }) => [rung.id, can])).toEqual([
    ["480p-av1", false],
    ["240p", true],
  ]);
  expect(choosable(rungs, "normal").every(({ can }) => can)).toBe(true);
  expect(rungWords(rungs[2]!)).toBe("480p, AV1, up to 0.7 Mbit/s");
});
