import axios, { isAxiosError } from "axios";

/** One thing wrong with one field, as the service names it. */
export interface FieldError {
  field: string | null;
  code: string;
  detail: string;
}

/** What the service, or the way to it, answered instead of a result. `status` is 0 where nothing answered. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly errors: readonly FieldError[] = [],
  ) {
    super(message);
    this.name = "ApiError";
  }
}

export const http = axios.create({ timeout: 15_000, headers: { Accept: "application/json" } });

http.interceptors.response.use(undefined, (error: unknown) => Promise.reject(apiErrorFrom(error)));

/** Any failure of a request as an ApiError with a sentence that can be shown; cancelled requests pass unchanged. */
export function apiErrorFrom(error: unknown): Error {
  if (axios.isCancel(error) || !isAxiosError(error)) {
    return error instanceof Error ? error : new Error(String(error));
  }
  if (error.response === undefined) {
    return new ApiError(0, "unreachable", "The service cannot be reached. Check your connection and try again.");
  }
  const { status } = error.response;
  const body: unknown = error.response.data;
  if (isProblem(body)) return new ApiError(status, body.code, body.detail, body.errors);
  return new ApiError(status, "unexpected", `The service answered with an error (${status}). Please try again.`);
}

/** A problem document (RFC 9457) of the service: what stands on the way to it answers without `code`. */
function isProblem(body: unknown): body is { code: string; detail: string; errors: FieldError[] } {
  if (typeof body !== "object" || body === null) return false;
  const { code, detail, errors } = body as Record<string, unknown>;
  return typeof code === "string" && typeof detail === "string" && Array.isArray(errors);
}
