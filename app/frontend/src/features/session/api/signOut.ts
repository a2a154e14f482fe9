import { useMutation } from "@tanstack/react-query";
import { http } from "@/lib/api";
import { beginSession } from "@/lib/session";

async function signOut(leave: () => void): Promise<void> {
  await http.post("/api/auth/logout");
  leave();
  beginSession();
}

/** Ends the login at the service, which takes the cookies away; after `leave` the page begins anew, as nobody's. */
export function useSignOut() {
  return useMutation({ mutationFn: signOut });
}
