import axios, { isAxiosError, type InternalAxiosRequestConfig } from "axios";
import { askToSignIn, csrfToken, hasLoginChanged } from "./session";

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
    readonly retryAfterS: number | null = null,
  ) {
    super(message);
    this.name = "ApiError";
  }
}

const OPTIONS = { timeout: 15_000, headers: { Accept: "application/json" } };
const SAFE = ["get", "head", "options"];

/** For what belongs to nobody yet: signing in, and refreshing a login. */
export const plainHttp = axios.create(OPTIONS);
/** For everything else: where the service asks who is there, the login is refreshed, or somebody asked to sign in. */
export const http = axios.create(OPTIONS);

/** Each request knows how many refreshes there were before it: only one that has the newest tokens needs another. */
const sentAfter = new WeakMap<InternalAxiosRequestConfig, number>();
let refreshes = 0;
let refreshing: Promise<void> | null = null;

plainHttp.interceptors.request.use(withCsrfToken);
plainHttp.interceptors.response.use(undefined, (error: unknown) => Promise.reject(apiErrorFrom(error)));

http.interceptors.request.use((config) => {
  // What one person typed is not sent in the name of another one, who signed in elsewhere in this browser.
  if (hasLoginChanged()) throw otherLogin();
  sentAfter.set(config, refreshes);
  return withCsrfToken(config);
});
http.interceptors.response.use(undefined, (error: unknown) => {
  const config = isAxiosError(error) ? error.config : undefined;
  const failure = apiErrorFrom(error);
  return config !== undefined && wantsLogin(failure) ? sendAgain(config) : Promise.reject(failure);
});

function withCsrfToken(config: InternalAxiosRequestConfig): InternalAxiosRequestConfig {
  if (!SAFE.includes(config.method?.toLowerCase() ?? "get")) config.headers.set("X-CSRF-Token", csrfToken());
  return config;
}

function otherLogin(): ApiError {
  return new ApiError(401, "other_login", "Somebody else is signed in by now.");
}

/** Whether the service asks who is there; that a password is wrong is an answer to whoever typed it. */
function wantsLogin(error: Error): boolean {
  return error instanceof ApiError && error.status === 401 && error.code !== "bad_credentials";
}

/** The same request with new tokens. Where that does not help either, somebody has to sign in. */
async function sendAgain(config: InternalAxiosRequestConfig) {
  if (csrfToken() !== "" && sentAfter.get(config) === refreshes) await refresh();
  if (hasLoginChanged()) throw otherLogin();
  try {
    return await plainHttp.request(config);
  } catch (error) {
    if (error instanceof Error && wantsLogin(error)) askToSignIn();
    throw error;
  }
}

/** New tokens: one request for all who wait for them, as each refresh token is good once. */
function refresh(): Promise<void> {
  refreshing ??= sendRefresh().finally(() => {
    refreshes += 1;
    refreshing = null;
  });
  return refreshing;
}

async function sendRefresh(): Promise<void> {
  try {
    await plainHttp.post("/api/auth/refresh", {});
  } catch (error) {
    // Refused: the repeated request shows what that means. An outage is one, not a reason to sign in again.
    if (!(error instanceof ApiError && (error.status === 401 || error.status === 403))) throw error;
  }
}

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
  if (isProblem(body)) {
    return new ApiError(
      status,
      body.code,
      body.detail,
      body.errors,
      secondsFrom(error.response.headers["retry-after"]),
    );
  }
  return new ApiError(status, "unexpected", `The service answered with an error (${status}). Please try again.`);
}

/** The seconds of a Retry-After header; null where there is none. */
function secondsFrom(header: unknown): number | null {
  return typeof header === "string" && /^\d+$/.test(header) ? Number(header) : null;
}

/** A problem document (RFC 9457) of the service: what stands on the way to it answers without `code`. */
function isProblem(body: unknown): body is { code: string; detail: string; errors: FieldError[] } {
  if (typeof body !== "object" || body === null) return false;
  const { code, detail, errors } = body as Record<string, unknown>;
  return typeof code === "string" && typeof detail === "string" && Array.isArray(errors);
}
