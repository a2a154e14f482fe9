import { useNavigate } from "react-router";
import { ChangePassword } from "@/features/session/components/ChangePassword";
import { EditUser } from "@/features/users/components/EditUser";
import { OwnUser } from "@/features/users/components/OwnUser";
import type { Me } from "@/features/users/types";

/** One's own user; `form` opens a form on top of it. */
export function Account({ me, form }: { me: Me; form?: "edit" | "password" }) {
  const navigate = useNavigate();
  const close = () => void navigate("/account");
  return (
    <>
      <div className="page__head">
        <div>
          <h1>Your account</h1>
          <p className="page__lead">What is stored of you, and your password.</p>
        </div>
      </div>
      <OwnUser me={me} />
      {form === "edit" && <EditUser id={me.user.id} mayChange mayChangeStatus={me.role === "admin"} onClose={close} />}
      {form === "password" && <ChangePassword email={me.user.email} onClose={close} />}
    </>
  );
}
