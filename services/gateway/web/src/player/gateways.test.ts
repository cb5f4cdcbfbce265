import { expect, test } from "vitest";
import { Gateways } from "./gateways";

const home = "http://a:8080";

test("addresses are asked of the gateway in use, and read as the home gateway's", () => {
  const gateways = new Gateways(home);
  gateways.addAlternates(["http://b:8081/", "http://b:8081", "http://a:8080", "ftp://c", "nonsense"]);
  expect(gateways.count).toBe(2);
  expect(gateways.at("http://a:8080/streams/x")).toBe("http://a:8080/streams/x");
  gateways.failed(home, 10);
  expect(gateways.at("http://a:8080/streams/x?y=1")).toBe("http://b:8081/streams/x?y=1");
  expect(gateways.homeOf("http://b:8081/streams/x")).toBe("http://a:8080/streams/x");
  expect(gateways.at("http://elsewhere/x")).toBe("http://elsewhere/x");
  expect(gateways.homeOf("http://elsewhere/x")).toBe("http://elsewhere/x");
});

test("requests that fail together move on once", () => {
  const gateways = new Gateways(home);
  gateways.addAlternates(["http://b:8081", "http://c:8082"]);
  gateways.failed(home, 10);
  gateways.failed(home, 11);
  expect(gateways.current).toBe("http://b:8081");
  expect(gateways.failovers).toBe(1);
});

test("the gateway that failed longest ago is next", () => {
  const gateways = new Gateways(home);
  gateways.addAlternates(["http://b:8081", "http://c:8082"]);
  gateways.failed(home, 10);
  gateways.failed("http://b:8081", 20);
  expect(gateways.current).toBe("http://c:8082");
  gateways.failed("http://c:8082", 30);
  expect(gateways.current).toBe(home);
});

test("a gateway alone is asked again", () => {
  const gateways = new Gateways(home);
  gateways.failed(home, 10);
  expect(gateways.current).toBe(home);
  expect(gateways.failovers).toBe(0);
});

test("leaving a gateway that has nothing to serve is no failover", () => {
  const gateways = new Gateways(home);
  gateways.addAlternates(["http://b:8081"]);
  gateways.failed(home, 10, false);
  expect(gateways.current).toBe("http://b:8081");
  expect(gateways.failovers).toBe(0);
});
