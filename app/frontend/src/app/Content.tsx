import { Link, Navigate, Route, Routes } from "react-router";
import { Message } from "@/components/Message";
import type { Me } from "@/features/users/types";
import { Account } from "./Account";
import { Dashboard } from "./Dashboard";

function NotFound() {
  return (
    <div className="card">
      <Message
        tone="empty"
        title="There is no such page"
        action={
          <Link to="/" className="button button--primary">
            Go to the users
          </Link>
        }
      />
    </div>
  );
}

function accountRoutes(me: Me) {
  return (
    <>
      <Route path="/account" element={<Account me={me} />} />
      <Route path="/account/edit" element={<Account me={me} form="edit" />} />
      <Route path="/account/password" element={<Account me={me} form="password" />} />
    </>
  );
}

/** What each address shows. Without anybody signed in everybody may do everything: else the service would have asked. */
export function Content({ me }: { me: Me | null }) {
  if (me?.role === "user") {
    // The list is for others; what there is to see is one's own user.
    return (
      <Routes>
        {accountRoutes(me)}
        <Route path="*" element={<Navigate to="/account" replace />} />
      </Routes>
    );
  }
  const rights = { isKnown: me !== null, mayChange: me === null || me.role === "admin" };
  return (
    <Routes>
      <Route path="/" element={<Dashboard {...rights} />} />
      <Route path="/users" element={<Dashboard {...rights} />} />
      <Route path="/users/new" element={<Dashboard {...rights} form="new" />} />
      <Route path="/users/:id" element={<Dashboard {...rights} form="edit" />} />
      {me !== null && accountRoutes(me)}
      <Route path="*" element={<NotFound />} />
    </Routes>
  );
}
