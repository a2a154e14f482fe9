import { Alert } from "@/components/Alert";
import { Dialog } from "@/components/Dialog";
import { useNotify } from "@/components/Notices";
import { TextField } from "@/components/TextField";
import { useForm, type Messages } from "@/lib/forms";
import { useChangePassword } from "../api/changePassword";
import type { PasswordChange } from "../types";

interface ChangePasswordProps {
  /** Whose password it is, for password managers. */
  email: string;
  onClose: () => void;
}

function validate(fields: PasswordChange): Messages<PasswordChange> {
  const messages: Messages<PasswordChange> = {};
  if (fields.current === "") messages.current = "The current password is required.";
  if (fields.new === "") messages.new = "The new password is required.";
  return messages;
}

/** The form for another password. */
export function ChangePassword({ email, onClose }: ChangePasswordProps) {
  const change = useChangePassword();
  const notify = useNotify();
  const { general, bind, submit } = useForm<PasswordChange>({
    initial: { current: "", new: "" },
    validate,
    error: change.error,
    onSubmit: (given) =>
      change.mutate(given, {
        onSuccess: () => {
          notify("Your password was changed.");
          onClose();
        },
      }),
  });
  return (
    <Dialog title="Change password" shape="drawer" onClose={onClose}>
      <form className="form" noValidate onSubmit={submit}>
        <div className="dialog__body">
          <Alert text={general} />
          <input type="text" autoComplete="username" value={email} readOnly hidden />
          <TextField
            label="Current password"
            type="password"
            autoComplete="current-password"
            focused
            {...bind("current")}
          />
          <TextField
            label="New password"
            type="password"
            autoComplete="new-password"
            hint="At least 12 characters. Everywhere else you are signed out."
            {...bind("new")}
          />
        </div>
        <footer className="dialog__foot">
          <button type="button" className="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" className="button button--primary" disabled={change.isPending}>
            {change.isPending ? "Saving…" : "Change password"}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}
