export const STATUSES = ["active", "inactive", "suspended"] as const;
export type Status = (typeof STATUSES)[number];

/** A user as the service sends it; times are ISO 8601. */
export interface User {
  id: number;
  name: string;
  email: string;
  status: Status;
  created_at: string;
  updated_at: string;
}

/** What a person decides about a user. */
export type UserFields = Pick<User, "name" | "email" | "status">;

/** A stretch of the list, newest first; `next_cursor` continues it. */
export interface UserPage {
  items: User[];
  next_cursor: string | null;
}

export type Role = "user" | "auditor" | "admin";

/** Who is signed in, and as what. */
export interface Me {
  user: User;
  role: Role;
}
