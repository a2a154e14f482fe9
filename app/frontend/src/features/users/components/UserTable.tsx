import { useState } from "react";
import { Link } from "react-router";
import { ago, moment } from "@/lib/time";
import type { User } from "../types";
import { Avatar } from "./Avatar";
import { StatusBadge } from "./StatusBadge";

interface UserTableProps {
  users: readonly User[];
  /** Without it there is no column of actions. */
  mayChange: boolean;
  onDelete: (user: User) => void;
}

function When({ iso, now }: { iso: string; now: number }) {
  return (
    <time dateTime={iso} title={moment(iso)}>
      {ago(iso, now)}
    </time>
  );
}

function Actions({ user, onDelete }: { user: User; onDelete: (user: User) => void }) {
  return (
    <td className="users__actions">
      <Link to={`/users/${user.id}`} className="button button--quiet" aria-label={`Edit ${user.name}`}>
        Edit
      </Link>
      <button
        type="button"
        className="button button--quiet button--danger"
        aria-label={`Delete ${user.name}`}
        onClick={() => onDelete(user)}
      >
        Delete
      </button>
    </td>
  );
}

/** The users, one a row; on small screens each row is a card. */
export function UserTable({ users, mayChange, onDelete }: UserTableProps) {
  const [now] = useState(() => Date.now());
  return (
    <table className="users">
      <caption className="hidden">Users, newest first</caption>
      <thead>
        <tr>
          <th scope="col">Name</th>
          <th scope="col">Status</th>
          <th scope="col">Created</th>
          <th scope="col">Updated</th>
          {mayChange && (
            <th scope="col">
              <span className="hidden">Actions</span>
            </th>
          )}
        </tr>
      </thead>
      <tbody>
        {users.map((user) => (
          <tr key={user.id}>
            <th scope="row">
              <div className="person">
                <Avatar id={user.id} name={user.name} />
                <div className="person__text">
                  <Link to={`/users/${user.id}`} className="person__name">
                    {user.name}
                  </Link>
                  <span className="person__email">{user.email}</span>
                </div>
              </div>
            </th>
            <td data-label="Status">
              <StatusBadge status={user.status} />
            </td>
            <td data-label="Created" className="users__time">
              <When iso={user.created_at} now={Math.max(now, Date.parse(user.created_at))} />
            </td>
            <td data-label="Updated" className="users__time">
              <When iso={user.updated_at} now={Math.max(now, Date.parse(user.updated_at))} />
            </td>
            {mayChange && <Actions user={user} onDelete={onDelete} />}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
