import { useInfiniteQuery } from "@tanstack/react-query";
import { http } from "@/lib/api";
import type { Status, UserPage } from "../types";
import { userKeys } from "./keys";

const PAGE_SIZE = 25;

async function listUsers(status: Status | null, cursor: string | null, signal: AbortSignal): Promise<UserPage> {
  const params = { limit: PAGE_SIZE, ...(status !== null && { status }), ...(cursor !== null && { cursor }) };
  return (await http.get<UserPage>("/api/users", { params, signal })).data;
}

/** The list, newest first, page after page. */
export function useUsers(status: Status | null) {
  return useInfiniteQuery({
    queryKey: userKeys.list(status),
    queryFn: ({ pageParam, signal }) => listUsers(status, pageParam, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor,
  });
}
