import { useQuery } from "@tanstack/react-query";
import { http } from "@/lib/api";
import type { User } from "../types";
import { userKeys } from "./keys";

/** A user, and whether the service had it in its cache. */
export interface UserRead {
  user: User;
  fromCache: boolean;
}

async function getUser(id: number, signal: AbortSignal): Promise<UserRead> {
  const answer = await http.get<User>(`/api/users/${id}`, { signal });
  return { user: answer.data, fromCache: answer.headers["x-cache"] === "hit" };
}

/** One user, read anew whenever a form is opened on it, and left alone while it is edited. */
export function useUser(id: number) {
  return useQuery({
    queryKey: userKeys.one(id),
    queryFn: ({ signal }) => getUser(id, signal),
    gcTime: 0,
    staleTime: Infinity,
  });
}
