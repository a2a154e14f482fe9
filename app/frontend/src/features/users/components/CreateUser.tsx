import { Dialog } from "@/components/Dialog";
import { useNotify } from "@/components/Notices";
import { useCreateUser } from "../api/createUser";
import { UserForm } from "./UserForm";

/** The form for a new user. */
export function CreateUser({ onClose }: { onClose: () => void }) {
  const create = useCreateUser();
  const notify = useNotify();
  return (
    <Dialog title="New user" shape="drawer" onClose={onClose}>
      <UserForm
        submitLabel="Create user"
        busy={create.isPending}
        error={create.error}
        onCancel={onClose}
        onSubmit={(fields) =>
          create.mutate(fields, {
            onSuccess: (user) => {
              notify(`${user.name} was created.`);
              onClose();
            },
          })
        }
      />
    </Dialog>
  );
}
