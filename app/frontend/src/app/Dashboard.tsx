import { Link, useNavigate, useParams } from "react-router";
import { CreateUser } from "@/features/users/components/CreateUser";
import { EditUser } from "@/features/users/components/EditUser";
import { UserList } from "@/features/users/components/UserList";

/** The list; `form` opens a form on top of it, so that every state has an address. */
export function Dashboard({ form }: { form?: "new" | "edit" }) {
  const navigate = useNavigate();
  const { id } = useParams();
  const close = () => void navigate("/");
  return (
    <main className="page">
      <div className="page__head">
        <div>
          <h1>Users</h1>
          <p className="page__lead">Everyone who has an account, newest first.</p>
        </div>
        <Link to="/users/new" className="button button--primary">
          <svg viewBox="0 0 16 16" aria-hidden="true">
            <path d="M8 3v10M3 8h10" />
          </svg>
          New user
        </Link>
      </div>
      <UserList />
      {form === "new" && <CreateUser onClose={close} />}
      {form === "edit" && <EditUser key={id} id={Number(id)} onClose={close} />}
    </main>
  );
}
