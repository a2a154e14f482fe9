import type { ReactNode } from "react";
import { Alert } from "@/components/Alert";
import { TextField } from "@/components/TextField";
import { useForm } from "@/lib/forms";
import { STATUSES, type Status, type UserFields } from "../types";
import { validate } from "../validation";
import { STATUS_WORDS } from "./StatusBadge";

const EMPTY: UserFields = { name: "", email: "", status: "active" };

interface UserFormProps {
  initial?: UserFields;
  submitLabel: string;
  busy: boolean;
  error: Error | null;
  /** Whether the status may be chosen; without, it stays as it is. */
  withStatus?: boolean;
  note?: ReactNode;
  onSubmit: (fields: UserFields) => void;
  onCancel: () => void;
}

interface StatusChoiceProps {
  value: Status;
  message: string | undefined;
  onChange: (status: Status) => void;
}

function StatusChoice({ value, message, onChange }: StatusChoiceProps) {
  return (
    <fieldset className="field choices">
      <legend>Status</legend>
      {STATUSES.map((status: Status) => (
        <label key={status} className="choice">
          <input type="radio" name="user-status" checked={value === status} onChange={() => onChange(status)} />
          <span>{STATUS_WORDS[status]}</span>
        </label>
      ))}
      {message !== undefined && <p className="field__message">{message}</p>}
    </fieldset>
  );
}

/** Name, address and status, for a new user or a stored one; `error` is the last answer of the service. */
export function UserForm({ initial = EMPTY, error, withStatus = true, onSubmit, ...rest }: UserFormProps) {
  const { general, bind, submit } = useForm({
    initial,
    validate,
    error,
    onSubmit: ({ name, email, status }: UserFields) => onSubmit({ name: name.trim(), email: email.trim(), status }),
  });
  return (
    <form className="form" noValidate onSubmit={submit}>
      <div className="dialog__body">
        <Alert text={general} />
        <TextField label="Name" type="text" autoComplete="off" focused {...bind("name")} />
        <TextField label="E-mail address" type="email" autoComplete="off" {...bind("email")} />
        {withStatus && <StatusChoice {...bind("status")} />}
        {rest.note}
      </div>
      <footer className="dialog__foot">
        <button type="button" className="button" onClick={rest.onCancel}>
          Cancel
        </button>
        <button type="submit" className="button button--primary" disabled={rest.busy}>
          {rest.busy ? "Saving…" : rest.submitLabel}
        </button>
      </footer>
    </form>
  );
}
