import { Alert } from "@/components/Alert";
import { Dialog } from "@/components/Dialog";
import { useNotify } from "@/components/Notices";
import { useDeleteUser } from "../api/deleteUser";
import type { User } from "../types";

/** Asks before a user is deleted. */
export function DeleteDialog({ user, onClose }: { user: User; onClose: () => void }) {
  const remove = useDeleteUser();
  const notify = useNotify();

  function confirm() {
    remove.mutate(user.id, {
      onSuccess: () => {
        notify(`${user.name} was deleted.`);
        onClose();
      },
    });
  }

  return (
    <Dialog title={`Delete ${user.name}?`} shape="box" role="alertdialog" onClose={onClose}>
      <div className="dialog__body">
        <p>
          The account <strong>{user.email}</strong> will be removed. This cannot be undone.
        </p>
        <Alert text={remove.error?.message ?? null} />
      </div>
      <footer className="dialog__foot">
        {/* eslint-disable-next-line jsx-a11y/no-autofocus -- Enter should do no harm in a dialog that deletes */}
        <button type="button" className="button" autoFocus data-focus="" onClick={onClose}>
          Cancel
        </button>
        <button
          type="button"
          className="button button--primary button--danger"
          disabled={remove.isPending}
          onClick={confirm}
        >
          {remove.isPending ? "Deleting…" : "Delete user"}
        </button>
      </footer>
    </Dialog>
  );
}
