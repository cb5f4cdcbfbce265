// The gateway's REST API, as plain functions.
import { problemFrom } from "./problem";
import type { Info, StreamSpec, StreamView } from "./types";

const tokenKey = "reelay.token";

/** The token the user has entered, kept for this tab only. */
export function token(): string | null {
  return sessionStorage.getItem(tokenKey);
}

export function setToken(value: string): void {
  if (value) sessionStorage.setItem(tokenKey, value);
  else sessionStorage.removeItem(tokenKey);
}

/** Sends a request; an answer that is not a success is thrown as an `ApiError`. */
async function request(method: string, path: string, body?: unknown, version?: number): Promise<Response> {
  const headers: Record<string, string> = { accept: "application/json" };
  const bearer = token();
  if (bearer) headers.authorization = `Bearer ${bearer}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  if (version !== undefined) headers["if-match"] = `"${version}"`;
  let response: Response;
  try {
    const init: RequestInit = { method, headers, cache: "no-store" };
    if (body !== undefined) init.body = JSON.stringify(body);
    response = await fetch(path, init);
  } catch {
    throw problemFrom(0, null);
  }
  if (!response.ok) throw problemFrom(response.status, await response.json().catch(() => null));
  return response;
}

const streamPath = (id: string) => `/api/v1/streams/${encodeURIComponent(id)}`;

export async function listStreams(): Promise<StreamView[]> {
  const answer = (await (await request("GET", "/api/v1/streams")).json()) as { streams: StreamView[] };
  return answer.streams;
}

export async function addStream(spec: StreamSpec): Promise<void> {
  await request("POST", "/api/v1/streams", spec);
}

/** Changes a stream; refused with 412 when it is no longer at `version`. */
export async function changeStream(spec: StreamSpec, version: number): Promise<void> {
  await request("PUT", streamPath(spec.id), spec, version);
}

export async function removeStream(id: string, version: number): Promise<void> {
  await request("DELETE", streamPath(id), undefined, version);
}

export async function info(): Promise<Info> {
  return (await (await request("GET", "/api/v1/info")).json()) as Info;
}
