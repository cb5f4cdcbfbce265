// Streams of the tests' own, through the gateway's API.
import type { StreamView } from "../src/api/types";

export async function addStream(gateway: string, spec: Record<string, unknown>): Promise<void> {
  const response = await fetch(`${gateway}/api/v1/streams`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(spec),
  });
  if (!response.ok) throw new Error(`the stream was not added: ${response.status} ${await response.text()}`);
}

export async function streamView(gateway: string, id: string): Promise<StreamView | null> {
  const response = await fetch(`${gateway}/api/v1/streams/${id}`);
  return response.ok ? ((await response.json()) as StreamView) : null;
}

/** Does nothing if there is no such stream. */
export async function removeStream(gateway: string, id: string): Promise<void> {
  const view = await streamView(gateway, id);
  if (!view) return;
  const response = await fetch(`${gateway}/api/v1/streams/${id}`, {
    method: "DELETE",
    headers: { "content-type": "application/json", "if-match": `"${view.version}"` },
  });
  if (!response.ok)
    throw new Error(`the stream was not removed: ${response.status} ${await response.text()}`);
}

/** Sends `restart gateway 0` and the like to `reelay-local`. */
export async function control(system: { control: string }, command: string): Promise<void> {
  const response = await fetch(system.control, { method: "POST", body: command });
  const answer = (await response.json()) as { error?: string };
  if (answer.error) throw new Error(`${command}: ${answer.error}`);
}
