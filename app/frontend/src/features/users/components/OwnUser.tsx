import { Link } from "react-router";
import { moment } from "@/lib/time";
import type { Me, Role } from "../types";
import { Avatar } from "./Avatar";
import { StatusBadge } from "./StatusBadge";

const ROLE_WORDS: Record<Role, string> = { user: "User", auditor: "Auditor", admin: "Administrator" };

/** Whoever is signed in, and what they may do with themselves. */
export function OwnUser({ me }: { me: Me }) {
  const { user, role } = me;
  return (
    <section className="card own" aria-label="Your account">
      <div className="own__head">
        <div className="person">
          <Avatar id={user.id} name={user.name} />
          <div className="person__text">
            <span className="person__name">{user.name}</span>
            <span className="person__email">{user.email}</span>
          </div>
        </div>
        <StatusBadge status={user.status} />
      </div>
      <dl className="facts">
        <dt>Role</dt>
        <dd>{ROLE_WORDS[role]}</dd>
        <dt>Created</dt>
        <dd>{moment(user.created_at)}</dd>
        <dt>Updated</dt>
        <dd>{moment(user.updated_at)}</dd>
      </dl>
      <div className="own__actions">
        <Link to="/account/password" className="button">
          Change password
        </Link>
        <Link to="/account/edit" className="button button--primary">
          Edit
        </Link>
      </div>
    </section>
  );
}
