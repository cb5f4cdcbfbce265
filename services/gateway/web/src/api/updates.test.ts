import { expect, test } from "vitest";
import { tokenProtocol } from "./updates";

test("a token becomes a subprotocol of allowed characters", () => {
  expect(tokenProtocol("secret")).toBe("reelay.token.c2VjcmV0");
  // Bytes whose plain base64 would hold +, / and padding.
  expect(tokenProtocol("ûþ~?>ÿ ü")).toMatch(/^reelay\.token\.[A-Za-z0-9_-]+$/);
});
