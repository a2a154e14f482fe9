import type { Status } from "../types";

export const STATUS_WORDS: Record<Status, string> = { active: "Active", inactive: "Inactive", suspended: "Suspended" };

export function StatusBadge({ status }: { status: Status }) {
  return <span className={`badge badge--${status}`}>{STATUS_WORDS[status]}</span>;
}
