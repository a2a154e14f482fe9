import { useEffect, useRef, useState, type FormEvent } from "react";
import { ApiError, type FieldError } from "./api";

export type Messages<Fields> = Partial<Record<keyof Fields, string>>;

interface FormOptions<Fields> {
  initial: Fields;
  /** What is wrong with each field before it is sent. */
  validate: (fields: Fields) => Messages<Fields>;
  /** The last answer of the service. */
  error: Error | null;
  onSubmit: (fields: Fields) => void;
}

/** The service's complaints about fields that the form has; the first one about each counts. */
export function messagesFrom<Fields extends object>(errors: readonly FieldError[], known: Fields): Messages<Fields> {
  const messages: Messages<Fields> = {};
  for (const { field, detail } of errors) {
    if (field !== null && field in known) messages[field as keyof Fields] ??= detail;
  }
  return messages;
}

/** What is wrong with a field is read out when it gets the focus. */
function focusFirstInvalid(form: HTMLFormElement | null) {
  form?.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus();
}

/** The state of a form: its fields, what ties inputs to them, and a message for the whole. */
export function useForm<Fields extends object>({ initial, validate, error, onSubmit }: FormOptions<Fields>) {
  const [fields, setFields] = useState(initial);
  const [tried, setTried] = useState(false);
  // A complaint of the service holds for what was sent, not for what is typed after it.
  const [sent, setSent] = useState<Fields | null>(null);
  const served = error instanceof ApiError && sent === fields ? messagesFrom(error.errors, fields) : {};
  const messages: Messages<Fields> = tried ? { ...served, ...validate(fields) } : {};
  const general = error !== null && sent === fields && Object.keys(served).length === 0 ? error.message : null;

  const element = useRef<HTMLFormElement | null>(null);
  useEffect(() => {
    if (error !== null) focusFirstInvalid(element.current);
  }, [error]);

  /** What ties an input to a field. */
  function bind<Name extends keyof Fields>(name: Name) {
    return {
      value: fields[name],
      message: messages[name],
      onChange: (value: Fields[Name]) => setFields((before) => ({ ...before, [name]: value })),
    };
  }

  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = event.currentTarget;
    element.current = form;
    setTried(true);
    if (Object.keys(validate(fields)).length > 0) {
      requestAnimationFrame(() => focusFirstInvalid(form)); // once the complaints are shown
      return;
    }
    setSent(fields);
    onSubmit(fields);
  }

  return { fields, general, bind, submit };
}
