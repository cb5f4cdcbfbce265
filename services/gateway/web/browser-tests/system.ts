// The whole system on free ports, in a folder that goes with it: `reelay-local`.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export interface System {
  gateways: { url: string; pid: number }[];
  ingests: { pid: number }[];
  mediaDir: string;
  logs: string;
}

export interface RunningSystem extends System {
  /** Sends `restart gateway 0` and the like; gives the line it answers with. */
  command(line: string): Promise<string>;
  stop(): Promise<void>;
}

const root = fileURLToPath(new URL("../../../../", import.meta.url));
/** A first start downloads nothing, but Kafka alone may take a while on a busy machine. */
const startMs = 110_000;

function program(): string {
  const found = [
    process.env.REELAY_LOCAL,
    `${root}target/release/reelay-local`,
    `${root}target/debug/reelay-local`,
  ].find((path) => path && existsSync(path));
  if (!found) throw new Error("reelay-local is not built: run `make build`, or set REELAY_LOCAL to its path");
  return found;
}

/** Starts it, and waits until the demo stream can be played. */
export async function startSystem(...more: string[]): Promise<RunningSystem> {
  const child = spawn(program(), ["--ephemeral", "--json", ...more], {
    cwd: root,
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
  const waiting: ((line: string) => void)[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => waiting.shift()?.(line));
  const nextLine = () => new Promise<string>((resolve) => waiting.push(resolve));

  const timer = setTimeout(() => child.kill(), startMs);
  const first = await Promise.race([nextLine(), ended]);
  clearTimeout(timer);
  if (typeof first !== "string") throw new Error(`reelay-local ended before it was up (exit code ${first})`);

  return {
    ...(JSON.parse(first) as System),
    command: (line) => {
      const answer = nextLine();
      child.stdin.write(`${line}\n`);
      return answer;
    },
    stop: async () => {
      // It ends all that it started when its standard input ends.
      child.stdin.end();
      await ended;
    },
  };
}
