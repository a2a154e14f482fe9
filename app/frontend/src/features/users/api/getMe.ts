import { useQuery } from "@tanstack/react-query";
import { ApiError, http } from "@/lib/api";
import type { Me } from "../types";
import { userKeys } from "./keys";

async function getMe(signal: AbortSignal): Promise<Me | null> {
  try {
    return (await http.get<Me>("/api/auth/me", { signal })).data;
  } catch (error) {
    // A service without keys has no logins, and these cookies are those of another one.
    if (error instanceof ApiError && error.status === 404) return null;
    throw error;
  }
}

/** Who is signed in; null where that is nobody. `login` is the session's: without one there is nothing to ask for. */
export function useMe(login: string) {
  const asked = login !== "";
  const query = useQuery({ queryKey: userKeys.me, queryFn: ({ signal }) => getMe(signal), enabled: asked });
  return { me: query.data ?? null, isPending: asked && query.isPending, error: query.error, retry: query.refetch };
}
