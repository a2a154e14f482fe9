import { STATUSES, type Status } from "../types";
import { STATUS_WORDS } from "./StatusBadge";

interface StatusFilterProps {
  value: Status | null;
  onChange: (value: Status | null) => void;
}

/** Narrows the list to one status. */
export function StatusFilter({ value, onChange }: StatusFilterProps) {
  return (
    <fieldset className="segments">
      <legend className="hidden">Show users by status</legend>
      {[null, ...STATUSES].map((status) => (
        <label key={status ?? "all"} className="segment">
          <input type="radio" name="status" checked={value === status} onChange={() => onChange(status)} />
          <span>{status === null ? "All" : STATUS_WORDS[status]}</span>
        </label>
      ))}
    </fieldset>
  );
}
