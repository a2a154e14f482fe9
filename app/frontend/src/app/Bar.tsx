import { Link, useNavigate } from "react-router";
import { HealthBadge } from "@/features/health/HealthBadge";
import { SignOut } from "@/features/session/components/SignOut";
import { Avatar } from "@/features/users/components/Avatar";
import type { Me } from "@/features/users/types";

/** Stands above everything; `me` is who is signed in. */
export function Bar({ me }: { me: Me | null }) {
  const navigate = useNavigate();
  return (
    <header className={me === null ? "bar" : "bar bar--signed-in"}>
      <div className="bar__inner">
        <Link to="/" className="brand" aria-label="capstan">
          <img src="/favicon.svg" alt="" width="28" height="28" />
          <span className="brand__word">capstan</span>
        </Link>
        <div className="bar__end">
          <HealthBadge />
          {me !== null && (
            <>
              <Link to="/account" className="who" aria-label={`Your account, ${me.user.name}`}>
                <Avatar id={me.user.id} name={me.user.name} />
                <span className="who__name">{me.user.name}</span>
              </Link>
              <SignOut onDone={() => void navigate("/")} />
            </>
          )}
        </div>
      </div>
    </header>
  );
}
