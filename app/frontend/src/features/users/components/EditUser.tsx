import type { ReactNode } from "react";
import { Dialog } from "@/components/Dialog";
import { Message } from "@/components/Message";
import { useNotify } from "@/components/Notices";
import { moment } from "@/lib/time";
import { useUser, type UserRead } from "../api/getUser";
import { useUpdateUser } from "../api/updateUser";
import { StatusBadge } from "./StatusBadge";
import { UserForm } from "./UserForm";

interface EditUserProps {
  id: number;
  /** Whether there is a form, or only what is stored. */
  mayChange: boolean;
  mayChangeStatus: boolean;
  onClose: () => void;
}

interface EditFormProps {
  read: UserRead;
  withStatus: boolean;
  onClose: () => void;
}

function Facts({ user, fromCache, children }: UserRead & { children?: ReactNode }) {
  return (
    <dl className="facts">
      {children}
      <dt>Created</dt>
      <dd>{moment(user.created_at)}</dd>
      <dt>Updated</dt>
      <dd>{moment(user.updated_at)}</dd>
      <dt>Read from</dt>
      <dd>{fromCache ? "Cache" : "Database"}</dd>
    </dl>
  );
}

function EditForm({ read, withStatus, onClose }: EditFormProps) {
  const update = useUpdateUser(read.user.id);
  const notify = useNotify();
  const { name, email, status } = read.user;
  return (
    <UserForm
      initial={{ name, email, status }}
      submitLabel="Save changes"
      busy={update.isPending}
      error={update.error}
      withStatus={withStatus}
      note={<Facts {...read} />}
      onCancel={onClose}
      onSubmit={(fields) =>
        update.mutate(fields, {
          onSuccess: (user) => {
            notify(`${user.name} was saved.`);
            onClose();
          },
        })
      }
    />
  );
}

function Shown(read: UserRead) {
  return (
    <div className="dialog__body">
      <Facts {...read}>
        <dt>Name</dt>
        <dd>{read.user.name}</dd>
        <dt>E-mail address</dt>
        <dd>{read.user.email}</dd>
        <dt>Status</dt>
        <dd>
          <StatusBadge status={read.user.status} />
        </dd>
      </Facts>
    </div>
  );
}

/** A stored user, which is read anew first: as a form, or for whoever may only read as it is. */
export function EditUser({ id, mayChange, mayChangeStatus, onClose }: EditUserProps) {
  const read = useUser(id);
  return (
    <Dialog title={mayChange ? "Edit user" : "User"} shape="drawer" onClose={onClose}>
      {read.isPending && <div className="dialog__body skeleton" role="progressbar" aria-label="Loading the user" />}
      {read.isError && (
        <Message tone="error" title="This user cannot be shown">
          <p>{read.error.message}</p>
        </Message>
      )}
      {read.isSuccess && mayChange && <EditForm read={read.data} withStatus={mayChangeStatus} onClose={onClose} />}
      {read.isSuccess && !mayChange && <Shown {...read.data} />}
    </Dialog>
  );
}
