// Keeps the streams up to date: by WebSocket, and by asking every few seconds while that is not to be had.
import { delayMs } from "./backoff";
import { listStreams, token } from "./client";
import { applyUpdate } from "./streams";
import type { Streams, Update } from "./types";

const socketBackoff = { firstMs: 500, greatestMs: 15_000 };
const pollMs = 5_000;
/** A socket that was refused this often is left alone for longer: polling serves as well. */
const refusalsBeforePolling = 2;

export interface UpdateListener {
  /** `null` until the first answer. */
  streams(streams: Streams): void;
  /** Whether the gateway answers. */
  connected(connected: boolean): void;
}

/** base64url without padding (RFC 4648 section 5): all that a WebSocket subprotocol may hold. */
export function tokenProtocol(value: string): string {
  const bytes = new TextEncoder().encode(value);
  const base64 = btoa(String.fromCharCode(...bytes));
  return `reelay.token.${base64.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "")}`;
}

export class Updates {
  #streams: Streams = new Map();
  #socket: WebSocket | null = null;
  #refusals = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #pollTimer: ReturnType<typeof setTimeout> | undefined;
  #stopped = false;

  constructor(readonly listener: UpdateListener) {
    this.#connect();
    // A phone that wakes up should not wait for the rest of a back-off.
    addEventListener("online", this.#connectNow);
    document.addEventListener("visibilitychange", this.#connectNow);
  }

  stop(): void {
    this.#stopped = true;
    removeEventListener("online", this.#connectNow);
    document.removeEventListener("visibilitychange", this.#connectNow);
    clearTimeout(this.#timer);
    clearTimeout(this.#pollTimer);
    this.#socket?.close();
  }

  /** Asks at once, for instance after an edit while the socket is not there. */
  refresh(): void {
    if (this.#socket?.readyState !== WebSocket.OPEN) void this.#poll();
  }

  #connectNow = (): void => {
    if (document.hidden || this.#socket) return;
    this.#connect();
  };

  #connect(): void {
    clearTimeout(this.#timer);
    const address = new URL("/api/v1/updates", location.href);
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    const secret = token();
    const protocols = secret ? ["reelay.v1", tokenProtocol(secret)] : ["reelay.v1"];
    const socket = new WebSocket(address, protocols);
    this.#socket = socket;
    socket.onopen = () => {
      this.#refusals = 0;
      clearTimeout(this.#pollTimer);
      this.#pollTimer = undefined;
      this.listener.connected(true);
    };
    socket.onmessage = (message) => {
      let update: Update;
      try {
        update = JSON.parse(String(message.data)) as Update;
      } catch {
        return;
      }
      this.#set(applyUpdate(this.#streams, update));
    };
    socket.onclose = () => {
      if (this.#socket !== socket || this.#stopped) return;
      this.#socket = null;
      this.#refusals += 1;
      this.#timer = setTimeout(() => this.#connect(), delayMs(this.#refusals - 1, socketBackoff));
      if (this.#refusals >= refusalsBeforePolling && this.#pollTimer === undefined) void this.#poll();
    };
  }

  async #poll(): Promise<void> {
    clearTimeout(this.#pollTimer);
    try {
      const update: Update = { type: "snapshot", streams: await listStreams() };
      if (this.#stopped) return;
      this.listener.connected(true);
      this.#set(applyUpdate(this.#streams, update));
    } catch {
      if (this.#stopped) return;
      this.listener.connected(false);
    }
    if (this.#socket?.readyState === WebSocket.OPEN) return;
    this.#pollTimer = setTimeout(() => void this.#poll(), pollMs);
  }

  #set(streams: Streams): void {
    this.#streams = streams;
    this.listener.streams(streams);
  }
}
