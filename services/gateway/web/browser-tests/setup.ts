// Starts the system once for all tests, and hands them its addresses and a way to command it.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestProject } from "vitest/node";
import { startSystem, type System } from "./system";

declare module "vitest" {
  interface ProvidedContext {
    /** `control`: where a command line for `reelay-local` is posted. */
    system: System & { control: string };
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { command, stop, ...system } = await startSystem("--gateways", "2");
  // Tests run in processes of their own.
  const server = createServer((request, response) => {
    void (async () => {
      let line = "";
      for await (const chunk of request) line += String(chunk);
      response.setHeader("content-type", "application/json");
      response.end(await command(line.trim()));
    })();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const control = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  project.provide("system", { ...system, control });
  return async () => {
    server.close();
    await stop();
  };
}
