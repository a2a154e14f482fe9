import { useMutation } from "@tanstack/react-query";
import { ApiError, plainHttp } from "@/lib/api";
import { beginSession, csrfToken } from "@/lib/session";
import type { Credentials } from "../types";

/** Signs in by cookies; scripts never see the tokens. */
export async function signIn({ email, password }: Credentials): Promise<void> {
  try {
    await plainHttp.post("/api/auth/login", { email, password, cookies: true });
  } catch (error) {
    throw inOneSentence(error);
  }
  if (csrfToken() === "") {
    throw new ApiError(
      0,
      "no_cookies",
      "The browser kept no cookies: signing in needs them, and in most places HTTPS.",
    );
  }
}

/** How long to wait is in the answer's head, so its sentence does not say it. */
export function inOneSentence(error: unknown): unknown {
  if (!(error instanceof ApiError && error.status === 429 && error.retryAfterS !== null)) return error;
  const wait = error.retryAfterS === 1 ? "1 second" : `${error.retryAfterS} seconds`;
  return new ApiError(429, error.code, `Too many tries: please wait ${wait} before the next one.`);
}

export function useSignIn() {
  return useMutation({ mutationFn: signIn, onSuccess: beginSession });
}
