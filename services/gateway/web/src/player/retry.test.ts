import { expect, test } from "vitest";
import { afterFailure, type Failure } from "./retry";

const failure: Failure = { status: 0, attempt: 0, gateways: 2, triedMs: 0, hasDirectives: false };

test("the other gateway is asked at once", () => {
  expect(afterFailure(failure)).toEqual({
    then: "ask again",
    waitMs: 0,
    gatewayFailed: true,
    outage: false,
  });
  expect(afterFailure({ ...failure, status: 503 }).waitMs).toBe(0);
});

test("when all have failed the waits grow, up to 2 s", () => {
  const waits = [1, 3, 5, 7, 9, 11, 99].map((attempt) => afterFailure({ ...failure, attempt }));
  expect(waits.map((next) => next.waitMs)).toEqual([100, 200, 400, 800, 1600, 2000, 2000]);
  expect(waits.every((next) => next.outage && next.then === "ask again")).toBe(true);
});

test("a gateway alone is asked again after a wait", () => {
  expect(afterFailure({ ...failure, gateways: 1 })).toMatchObject({ waitMs: 100, outage: true });
});

test("an outage that lasts is handed on", () => {
  expect(afterFailure({ ...failure, attempt: 9, triedMs: 12_000 }).then).toBe("give up");
});

test("what is not there is not asked for again", () => {
  for (const status of [401, 403, 404, 410]) {
    expect(afterFailure({ ...failure, status })).toMatchObject({ then: "give up", gatewayFailed: false });
  }
});

test("a replica that lags is asked for what it has", () => {
  const refused = { ...failure, status: 400, hasDirectives: true };
  expect(afterFailure(refused).then).toBe("ask plainly");
  expect(afterFailure({ ...refused, attempt: 2 }).then).toBe("give up");
  expect(afterFailure({ ...refused, hasDirectives: false }).then).toBe("give up");
});
