import { Alert } from "@/components/Alert";
import { TextField } from "@/components/TextField";
import { useForm, type Messages } from "@/lib/forms";
import { useRegister } from "../api/register";
import type { Registration } from "../types";

interface RegisterProps {
  email: string;
  onSignIn: (email: string) => void;
}

// Only what is missing: what else may be wrong, the service knows best.
function validate({ name, email, password }: Registration): Messages<Registration> {
  const messages: Messages<Registration> = {};
  if (name.trim() === "") messages.name = "The name is required.";
  if (email.trim() === "") messages.email = "The e-mail address is required.";
  if (password === "") messages.password = "The password is required.";
  return messages;
}

/** The form for a new account. */
export function Register({ email, onSignIn }: RegisterProps) {
  const register = useRegister();
  const { fields, general, bind, submit } = useForm<Registration>({
    initial: { name: "", email, password: "" },
    validate,
    error: register.error,
    onSubmit: ({ password, ...given }) =>
      register.mutate({ name: given.name.trim(), email: given.email.trim(), password }),
  });
  return (
    <form className="gate__form" noValidate onSubmit={submit} aria-labelledby="gate-title">
      <div>
        <h1 id="gate-title">Create an account</h1>
        <p className="gate__lead">You are signed in with it at once.</p>
      </div>
      <Alert text={general} />
      <TextField label="Name" type="text" autoComplete="name" focused {...bind("name")} />
      <TextField label="E-mail address" type="email" autoComplete="username" {...bind("email")} />
      <TextField
        label="Password"
        type="password"
        autoComplete="new-password"
        hint="At least 12 characters."
        {...bind("password")}
      />
      <button type="submit" className="button button--primary" disabled={register.isPending}>
        {register.isPending ? "Creating…" : "Create account"}
      </button>
      <p className="gate__other">
        You have one?{" "}
        <button type="button" className="link" onClick={() => onSignIn(fields.email)}>
          Sign in
        </button>
      </p>
    </form>
  );
}
