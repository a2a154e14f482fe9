import { Dialog } from "@/components/Dialog";
import { Message } from "@/components/Message";
import { useNotify } from "@/components/Notices";
import { moment } from "@/lib/time";
import { useUser, type UserRead } from "../api/getUser";
import { useUpdateUser } from "../api/updateUser";
import { UserForm } from "./UserForm";

interface EditUserProps {
  id: number;
  onClose: () => void;
}

function Facts({ user, fromCache }: UserRead) {
  return (
    <dl className="facts">
      <dt>Created</dt>
      <dd>{moment(user.created_at)}</dd>
      <dt>Updated</dt>
      <dd>{moment(user.updated_at)}</dd>
      <dt>Read from</dt>
      <dd>{fromCache ? "Cache" : "Database"}</dd>
    </dl>
  );
}

function EditForm({ read, onClose }: { read: UserRead; onClose: () => void }) {
  const update = useUpdateUser(read.user.id);
  const notify = useNotify();
  const { name, email, status } = read.user;
  return (
    <UserForm
      initial={{ name, email, status }}
      submitLabel="Save changes"
      busy={update.isPending}
      error={update.error}
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

/** The form for a stored user, which is read anew first. */
export function EditUser({ id, onClose }: EditUserProps) {
  const read = useUser(id);
  return (
    <Dialog title="Edit user" shape="drawer" onClose={onClose}>
      {read.isPending && <div className="dialog__body skeleton" role="progressbar" aria-label="Loading the user" />}
      {read.isError && (
        <Message tone="error" title="This user cannot be shown">
          <p>{read.error.message}</p>
        </Message>
      )}
      {read.isSuccess && <EditForm read={read.data} onClose={onClose} />}
    </Dialog>
  );
}
