import type { Status } from "../types";

/** Where answers are kept. Every list is stale after any write; a single user is read anew for each form. */
export const userKeys = {
  lists: ["users", "list"] as const,
  list: (status: Status | null) => ["users", "list", status] as const,
  me: ["users", "me"] as const,
  one: (id: number) => ["users", "one", id] as const,
};
