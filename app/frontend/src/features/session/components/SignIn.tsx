import { useState } from "react";
import { Alert } from "@/components/Alert";
import { TextField } from "@/components/TextField";
import { useForm, type Messages } from "@/lib/forms";
import { useSignIn } from "../api/signIn";
import type { Credentials } from "../types";
import { Register } from "./Register";

interface SignInFormProps {
  lead: string;
  email: string;
  onRegister: (email: string) => void;
}

function validate({ email, password }: Credentials): Messages<Credentials> {
  const messages: Messages<Credentials> = {};
  if (email.trim() === "") messages.email = "The e-mail address is required.";
  if (password === "") messages.password = "The password is required.";
  return messages;
}

function SignInForm({ lead, email, onRegister }: SignInFormProps) {
  const signIn = useSignIn();
  const { fields, general, bind, submit } = useForm<Credentials>({
    initial: { email, password: "" },
    validate,
    error: signIn.error,
    onSubmit: (given) => signIn.mutate({ ...given, email: given.email.trim() }),
  });
  return (
    <form className="gate__form" noValidate onSubmit={submit} aria-labelledby="gate-title">
      <div>
        <h1 id="gate-title">Sign in</h1>
        <p className="gate__lead">{lead}</p>
      </div>
      <Alert text={general} />
      <TextField label="E-mail address" type="email" autoComplete="username" focused {...bind("email")} />
      <TextField label="Password" type="password" autoComplete="current-password" {...bind("password")} />
      <button type="submit" className="button button--primary" disabled={signIn.isPending}>
        {signIn.isPending ? "Signing in…" : "Sign in"}
      </button>
      <p className="gate__other">
        No account yet?{" "}
        <button type="button" className="link" onClick={() => onRegister(fields.email)}>
          Create an account
        </button>
      </p>
    </form>
  );
}

/** Stands in place of the content until somebody signs in; the address stays, so one is where one was. */
export function SignIn({ ended }: { ended: boolean }) {
  // What was typed as an address goes along between the two forms.
  const [email, setEmail] = useState("");
  const [isNew, setIsNew] = useState(false);
  function change(to: boolean) {
    return (typed: string) => {
      setEmail(typed);
      setIsNew(to);
    };
  }
  const lead = ended
    ? "Your session has ended. Sign in to go on where you were."
    : "This page is for people with an account.";
  return (
    <div className="card gate">
      {isNew ? (
        <Register email={email} onSignIn={change(false)} />
      ) : (
        <SignInForm lead={lead} email={email} onRegister={change(true)} />
      )}
    </div>
  );
}
