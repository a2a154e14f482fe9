import { Alert } from "@/components/Alert";
import { useSignOut } from "../api/signOut";

/** Ends the login; `onDone` leaves the address, which is nothing for the next person. */
export function SignOut({ onDone }: { onDone: () => void }) {
  const signOut = useSignOut();
  return (
    <>
      <button
        type="button"
        className="button button--quiet"
        disabled={signOut.isPending}
        onClick={() => signOut.mutate(onDone)}
      >
        {signOut.isPending ? "Signing out…" : "Sign out"}
      </button>
      {signOut.isError && (
        <div className="bar__alert">
          <Alert text={`You are still signed in. ${signOut.error.message}`} />
        </div>
      )}
    </>
  );
}
