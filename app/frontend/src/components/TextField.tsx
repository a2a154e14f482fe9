import { useId } from "react";

interface TextFieldProps {
  label: string;
  type: "text" | "email" | "password";
  autoComplete: string;
  value: string;
  message: string | undefined;
  hint?: string;
  focused?: boolean;
  onChange: (value: string) => void;
}

/** A line of text with its label, and below it what is wrong with it, or else a hint. */
export function TextField(props: TextFieldProps) {
  const { label, type, autoComplete, value, message, hint, focused = false, onChange } = props;
  const id = useId();
  const below = message ?? hint;
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <input
        id={id}
        type={type}
        value={value}
        autoComplete={autoComplete}
        aria-invalid={message !== undefined}
        aria-describedby={below === undefined ? undefined : `${id}-below`}
        // eslint-disable-next-line jsx-a11y/no-autofocus -- what opens a form has to put the focus somewhere
        autoFocus={focused}
        data-focus={focused ? "" : undefined}
        onChange={(event) => onChange(event.target.value)}
      />
      {below !== undefined && (
        <p id={`${id}-below`} className={message === undefined ? "field__hint" : "field__message"}>
          {below}
        </p>
      )}
    </div>
  );
}
