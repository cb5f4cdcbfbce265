import { expect, test } from "vitest";
import { errorOf, otherErrors, problemFrom } from "./problem";

test("field errors are found by field and by what lies in it", () => {
  const problem = problemFrom(422, {
    title: "the stream is not valid",
    errors: [
      { field: "id", value: "A b", allowed: "1 to 63 of a-z, 0-9 and -" },
      { field: "labels.site", value: "", allowed: "1 to 63 characters" },
    ],
  });
  expect(problem.message).toBe("the stream is not valid");
  expect(errorOf(problem.fields, "id")).toBe("Allowed: 1 to 63 of a-z, 0-9 and -");
  expect(errorOf(problem.fields, "labels")).toBe("Allowed: 1 to 63 characters");
  expect(errorOf(problem.fields, "source")).toBeUndefined();
});

test("an answer without a document is put into words", () => {
  expect(problemFrom(0, null).message).toMatch(/cannot be reached/);
  expect(problemFrom(412, { title: "precondition failed" }).message).toMatch(/Somebody else/);
  expect(problemFrom(418, "<html>").message).toBe("The gateway answered with status 418.");
});

test("nonsense in a document does no harm", () => {
  expect(problemFrom(422, { detail: 7, errors: [null, {}, { field: 3 }, "x"] }).fields).toEqual([]);
  expect(problemFrom(422, { errors: [{ field: "id" }] }).fields).toEqual([
    { field: "id", allowed: "This is not valid." },
  ]);
});

test("errors of fields that the form does not show are not lost", () => {
  const fields = [
    { field: "id", allowed: "" },
    { field: "labels.x", allowed: "" },
    { field: "ladder[0]", allowed: "" },
    { field: "idea", allowed: "" },
  ];
  expect(otherErrors(fields, ["id", "labels"]).map(({ field }) => field)).toEqual(["ladder[0]", "idea"]);
});
