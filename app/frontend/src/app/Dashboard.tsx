import { Link, useNavigate, useParams } from "react-router";
import { Dialog } from "@/components/Dialog";
import { Message } from "@/components/Message";
import { useUsers } from "@/features/users/api/listUsers";
import { CreateUser } from "@/features/users/components/CreateUser";
import { EditUser } from "@/features/users/components/EditUser";
import { UserList } from "@/features/users/components/UserList";

interface DashboardProps {
  /** Whether somebody is signed in, so that nobody will have to. */
  isKnown: boolean;
  mayChange: boolean;
  form?: "new" | "edit";
}

function NewUser() {
  return (
    <Link to="/users/new" className="button button--primary">
      <svg viewBox="0 0 16 16" aria-hidden="true">
        <path d="M8 3v10M3 8h10" />
      </svg>
      New user
    </Link>
  );
}

function Refused({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title="New user" shape="drawer" onClose={onClose}>
      <Message tone="error" title="This is for administrators">
        <p>Only they create users.</p>
      </Message>
    </Dialog>
  );
}

/** The list; `form` opens a form on top of it, so that every state has an address. */
export function Dashboard({ isKnown, mayChange, form }: DashboardProps) {
  const navigate = useNavigate();
  const id = Number(useParams().id);
  const close = () => void navigate("/");
  // The list's answer shows whether the service asks who is there: a form before it might go while somebody types.
  const { isPending } = useUsers(null);
  const opened = isKnown || !isPending ? form : undefined;
  return (
    <>
      <div className="page__head">
        <div>
          <h1>Users</h1>
          <p className="page__lead">Everyone who has an account, newest first.</p>
        </div>
        {mayChange && <NewUser />}
      </div>
      <UserList mayChange={mayChange} />
      {opened === "new" && (mayChange ? <CreateUser onClose={close} /> : <Refused onClose={close} />)}
      {opened === "edit" && (
        <EditUser key={id} id={id} mayChange={mayChange} mayChangeStatus={mayChange} onClose={close} />
      )}
    </>
  );
}
