// Posts what the viewer saw, in small batches, and once more when the page is left.
import { token } from "../api/client";
import type { QoeReport } from "./session";

const everyMs = 10_000;
/** What could not be sent is kept and sent with the next batch, up to this many. */
const greatestBatch = 20;

export class QoeReporter {
  #unsent: QoeReport[] = [];
  #timer: ReturnType<typeof setInterval>;

  constructor(readonly take: () => QoeReport | null) {
    this.#timer = setInterval(() => void this.#send(), everyMs);
    // `pagehide` alone is not told on phones that put the browser away.
    document.addEventListener("visibilitychange", this.#onHide);
    addEventListener("pagehide", this.#sendNow);
  }

  stop(): void {
    clearInterval(this.#timer);
    document.removeEventListener("visibilitychange", this.#onHide);
    removeEventListener("pagehide", this.#sendNow);
    void this.#send();
  }

  #sendNow = (): void => void this.#send();

  #onHide = (): void => {
    if (document.hidden) void this.#send();
  };

  async #send(): Promise<void> {
    const report = this.take();
    if (report) this.#unsent.push(report);
    const batch = this.#unsent.splice(0);
    if (batch.length === 0) return;
    const headers: Record<string, string> = { "content-type": "application/json" };
    const bearer = token();
    if (bearer) headers.authorization = `Bearer ${bearer}`;
    try {
      // `keepalive` lets it outlive the page, as a beacon would, which cannot carry the token.
      const response = await fetch("/api/v1/qoe", {
        method: "POST",
        headers,
        body: JSON.stringify(batch),
        keepalive: true,
      });
      // A report that was refused will be refused again: only what failed on the way is kept.
      if (response.status >= 500) throw new Error(`status ${response.status}`);
    } catch {
      this.#unsent = [...batch, ...this.#unsent].slice(-greatestBatch);
    }
  }
}
