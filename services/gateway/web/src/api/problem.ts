// Errors of the API (RFC 9457, application/problem+json) in a form that a dialog can show.

export interface FieldError {
  field: string;
  allowed: string;
}

export class ApiError extends Error {
  constructor(
    /** HTTP status, 0 when the gateway could not be reached. */
    readonly status: number,
    message: string,
    readonly fields: FieldError[] = [],
  ) {
    super(message);
  }
}

const wordsForStatus: Record<number, string> = {
  0: "The gateway cannot be reached. Check the connection and try again.",
  401: "This needs an access token.",
  403: "This is not allowed from here.",
  404: "There is no such stream any more.",
  409: "A stream of this id exists already.",
  412: "Somebody else has changed this stream in the meantime. Close this, look at it, and edit it again.",
  413: "That is too large.",
  429: "Too many requests. Wait a moment and try again.",
  503: "The gateway cannot do this just now. Try again in a moment.",
};

const text = (value: unknown): string | null => (typeof value === "string" && value ? value : null);

function fieldErrors(errors: unknown): FieldError[] {
  if (!Array.isArray(errors)) return [];
  return errors.flatMap((error: Record<string, unknown> | null) => {
    const field = text(error?.field);
    const allowed = text(error?.allowed) ?? text(error?.message) ?? text(error?.detail);
    return field ? [{ field, allowed: allowed ? `Allowed: ${allowed}` : "This is not valid." }] : [];
  });
}

/** Reads a problem document; an answer without one is put into words by its status. */
export function problemFrom(status: number, body: unknown): ApiError {
  const document = (typeof body === "object" && body !== null ? body : {}) as Record<string, unknown>;
  const fields = fieldErrors(document.errors);
  const known = wordsForStatus[status];
  const told = text(document.detail) ?? text(document.title);
  // For these the page knows better than the document what the user can do.
  const message =
    (status === 412 || status === 401 ? known : null) ??
    told ??
    known ??
    `The gateway answered with status ${status}.`;
  return new ApiError(status, message, fields);
}

/** Whether `path` names the field or something in it: `labels` has `labels.site`, `ladder` has `ladder[0]`. */
const liesIn = (path: string, field: string): boolean =>
  path.startsWith(field) && /^(?:$|[.[])/.test(path.slice(field.length));

export function errorOf(fields: readonly FieldError[], field: string): string | undefined {
  return fields.find((error) => liesIn(error.field, field))?.allowed;
}

/** The errors of fields that a form does not show. */
export function otherErrors(fields: readonly FieldError[], shown: readonly string[]): FieldError[] {
  return fields.filter((error) => !shown.some((field) => liesIn(error.field, field)));
}
