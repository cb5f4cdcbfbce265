// Since when something is so, in words that need no arithmetic.

/** `since` is in microseconds since 1970. Today: the time of day; longer ago: with the date. */
export function sinceWords(since: number, nowMs: number, locale?: string): string {
  const then = new Date(since / 1000);
  const sameDay = then.toDateString() === new Date(nowMs).toDateString();
  const time: Intl.DateTimeFormatOptions = { hour: "2-digit", minute: "2-digit" };
  return sameDay
    ? then.toLocaleTimeString(locale, { ...time, second: "2-digit" })
    : then.toLocaleString(locale, { ...time, day: "numeric", month: "short" });
}
