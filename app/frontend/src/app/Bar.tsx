import { Link, useNavigate } from "react-router";
import { Alert } from "@/components/Alert";
import { HealthBadge } from "@/features/health/HealthBadge";
import { useSignOut } from "@/features/session/api/signOut";
import { Avatar } from "@/features/users/components/Avatar";
import type { Me } from "@/features/users/types";

/** Stands above everything; `me` is who is signed in. */
export function Bar({ me }: { me: Me | null }) {
  const navigate = useNavigate();
  const signOut = useSignOut();
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
              <button
                type="button"
                className="button button--quiet"
                disabled={signOut.isPending}
                // The address goes as well: it is nothing for the next person.
                onClick={() => signOut.mutate(() => void navigate("/"))}
              >
                {signOut.isPending ? "Signing out…" : "Sign out"}
              </button>
            </>
          )}
        </div>
      </div>
      {signOut.isError && (
        <div className="bar__alert">
          <Alert text={`You are still signed in. ${signOut.error.message}`} />
        </div>
      )}
    </header>
  );
}
