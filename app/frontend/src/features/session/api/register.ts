import { useMutation } from "@tanstack/react-query";
import { ApiError, plainHttp } from "@/lib/api";
import { beginSession } from "@/lib/session";
import type { Registration } from "../types";
import { inOneSentence, signIn } from "./signIn";

async function register({ name, email, password }: Registration): Promise<void> {
  try {
    await plainHttp.post("/api/auth/register", { name, email, password });
  } catch (error) {
    throw inOneSentence(error);
  }
  try {
    await signIn({ email, password });
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    throw new ApiError(error.status, error.code, `The account was created, but not signed in. ${error.message}`);
  }
}

/** A new account, and signed in with it. */
export function useRegister() {
  return useMutation({ mutationFn: register, onSuccess: beginSession });
}
