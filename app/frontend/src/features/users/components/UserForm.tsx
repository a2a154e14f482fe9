import { useId, useState, type ReactNode, type FormEvent } from "react";
import { ApiError } from "@/lib/api";
import { STATUSES, type Status, type UserFields } from "../types";
import { messagesFrom, validate, type FieldMessages } from "../validation";
import { STATUS_WORDS } from "./StatusBadge";

const EMPTY: UserFields = { name: "", email: "", status: "active" };

interface UserFormProps {
  initial?: UserFields;
  submitLabel: string;
  busy: boolean;
  error: Error | null;
  note?: ReactNode;
  onSubmit: (fields: UserFields) => void;
  onCancel: () => void;
}

interface TextFieldProps {
  label: string;
  type: "text" | "email";
  autoComplete: string;
  value: string;
  message: string | undefined;
  focused?: boolean;
  onChange: (value: string) => void;
}

function TextField({ label, type, autoComplete, value, message, focused = false, onChange }: TextFieldProps) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <input
        id={id}
        type={type}
        value={value}
        autoComplete={autoComplete}
        aria-invalid={message !== undefined}
        aria-describedby={message === undefined ? undefined : `${id}-message`}
        // eslint-disable-next-line jsx-a11y/no-autofocus -- the form is a dialog, which has to put the focus somewhere
        autoFocus={focused}
        data-focus={focused ? "" : undefined}
        onChange={(event) => onChange(event.target.value)}
      />
      {message !== undefined && (
        <p id={`${id}-message`} className="field__message">
          {message}
        </p>
      )}
    </div>
  );
}

/** Name, address and status, for a new user or a stored one; `error` is the last answer of the service. */
export function UserForm({ initial = EMPTY, submitLabel, busy, error, note, onSubmit, onCancel }: UserFormProps) {
  const [fields, setFields] = useState(initial);
  const [tried, setTried] = useState(false);
  // A complaint of the service holds for what was sent, not for what is typed after it.
  const [sent, setSent] = useState<UserFields | null>(null);
  const served = error instanceof ApiError && sent === fields ? messagesFrom(error.errors) : {};
  const messages: FieldMessages = tried ? { ...served, ...validate(fields) } : {};
  const general = error !== null && sent === fields && Object.keys(served).length === 0 ? error.message : null;

  function set<Name extends keyof UserFields>(name: Name, value: UserFields[Name]) {
    setFields((before) => ({ ...before, [name]: value }));
  }

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = event.currentTarget;
    setTried(true);
    if (Object.keys(validate(fields)).length > 0) {
      // Once the complaints are shown: to the first field that has one.
      requestAnimationFrame(() => form.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus());
      return;
    }
    setSent(fields);
    onSubmit({ name: fields.name.trim(), email: fields.email.trim(), status: fields.status });
  }

  return (
    <form className="form" noValidate onSubmit={submit}>
      <div className="dialog__body">
        {general !== null && (
          <p className="alert" role="alert">
            {general}
          </p>
        )}
        <TextField
          label="Name"
          type="text"
          autoComplete="off"
          value={fields.name}
          message={messages.name}
          focused
          onChange={(value) => set("name", value)}
        />
        <TextField
          label="E-mail address"
          type="email"
          autoComplete="off"
          value={fields.email}
          message={messages.email}
          onChange={(value) => set("email", value)}
        />
        <fieldset className="field choices">
          <legend>Status</legend>
          {STATUSES.map((status: Status) => (
            <label key={status} className="choice">
              <input
                type="radio"
                name="user-status"
                checked={fields.status === status}
                onChange={() => set("status", status)}
              />
              <span>{STATUS_WORDS[status]}</span>
            </label>
          ))}
          {messages.status !== undefined && <p className="field__message">{messages.status}</p>}
        </fieldset>
        {note}
      </div>
      <footer className="dialog__foot">
        <button type="button" className="button" onClick={onCancel}>
          Cancel
        </button>
        <button type="submit" className="button button--primary" disabled={busy}>
          {busy ? "Saving…" : submitLabel}
        </button>
      </footer>
    </form>
  );
}
