import { useState } from "react";
import { Link } from "react-router";
import { Message } from "@/components/Message";
import { useUsers } from "../api/listUsers";
import type { Status, User } from "../types";
import { DeleteDialog } from "./DeleteDialog";
import { StatusBadge } from "./StatusBadge";
import { StatusFilter } from "./StatusFilter";
import { UserTable } from "./UserTable";

function Skeleton() {
  return (
    <div className="skeleton" role="progressbar" aria-label="Loading users">
      {[1, 2, 3, 4, 5].map((row) => (
        <div key={row} className="skeleton__row" />
      ))}
    </div>
  );
}

function Nobody({ status, mayChange }: { status: Status | null; mayChange: boolean }) {
  if (status !== null) {
    return (
      <Message tone="empty" title="Nobody here">
        <p>
          No user is <StatusBadge status={status} /> at the moment.
        </p>
      </Message>
    );
  }
  return (
    <Message
      tone="empty"
      title="No users yet"
      action={
        mayChange && (
          <Link to="/users/new" className="button button--primary">
            Create the first user
          </Link>
        )
      }
    >
      <p>Users appear here as soon as they are created.</p>
    </Message>
  );
}

/** The list with its filter, and every state that it can be in; whoever may only read gets nothing that changes. */
export function UserList({ mayChange }: { mayChange: boolean }) {
  const [status, setStatus] = useState<Status | null>(null);
  const [deleting, setDeleting] = useState<User | null>(null);
  const list = useUsers(status);
  const users = list.data?.pages.flatMap((page) => page.items);

  return (
    <section aria-label="Users">
      <div className="toolbar">
        <StatusFilter value={status} onChange={setStatus} />
        {users !== undefined && users.length > 0 && (
          <p className="toolbar__count">
            {list.hasNextPage ? `First ${users.length}` : users.length} {users.length === 1 ? "user" : "users"}
          </p>
        )}
      </div>
      <div className="card">
        {list.isPending && <Skeleton />}
        {list.isError && (
          <Message
            tone="error"
            title="The users cannot be shown"
            action={
              <button type="button" className="button button--primary" onClick={() => void list.refetch()}>
                Try again
              </button>
            }
          >
            <p>{list.error.message}</p>
          </Message>
        )}
        {users?.length === 0 && !list.isError && <Nobody status={status} mayChange={mayChange} />}
        {users !== undefined && users.length > 0 && !list.isError && (
          <UserTable key={list.dataUpdatedAt} users={users} mayChange={mayChange} onDelete={setDeleting} />
        )}
      </div>
      {list.hasNextPage && (
        <div className="more">
          <button
            type="button"
            className="button"
            disabled={list.isFetchingNextPage}
            onClick={() => void list.fetchNextPage()}
          >
            {list.isFetchingNextPage ? "Loading…" : "Show more"}
          </button>
        </div>
      )}
      {deleting !== null && <DeleteDialog user={deleting} onClose={() => setDeleting(null)} />}
    </section>
  );
}
