import { expect, test } from "vitest";
import { emptyFields, fieldsOf, idFrom, labelsFrom, labelsText, specFrom } from "./form";

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
