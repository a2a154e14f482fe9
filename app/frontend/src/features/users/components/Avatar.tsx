import { initials } from "../initials";

const HUES = 10;

/** A user's initials on a colour that stays theirs. */
export function Avatar({ id, name }: { id: number; name: string }) {
  return (
    <span className={`avatar avatar--${id % HUES}`} aria-hidden="true">
      {initials(name)}
    </span>
  );
}
