import { useMutation } from "@tanstack/react-query";
import { http } from "@/lib/api";
import { beginSession } from "@/lib/session";

async function signOut(onDone: () => void): Promise<void> {
  await http.post("/api/auth/logout");
  onDone();
  beginSession();
}

/** Ends the login at the service, which takes the cookies away; then nothing here belongs to anybody any more. */
export function useSignOut() {
  return useMutation({ mutationFn: signOut });
}
