import { useMutation } from "@tanstack/react-query";
import { ApiError, http } from "@/lib/api";
import type { PasswordChange } from "../types";
import { inOneSentence } from "./signIn";

async function changePassword(change: PasswordChange): Promise<void> {
  try {
    await http.put("/api/auth/password", change);
  } catch (error) {
    throw atItsField(inOneSentence(error));
  }
}

/** The service says of a wrong password what it says at sign-in; here only one of two can be meant. */
function atItsField(error: unknown): unknown {
  if (!(error instanceof ApiError && error.code === "bad_credentials")) return error;
  const detail = "This is not the current password.";
  return new ApiError(error.status, error.code, detail, [{ field: "current", code: error.code, detail }]);
}

/** Another password; all other logins of this person end. */
export function useChangePassword() {
  return useMutation({ mutationFn: changePassword });
}
