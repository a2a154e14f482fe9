import { useSyncExternalStore } from "react";

// The page cannot read its tokens, but this cookie comes and goes with them, and each login has another one. The second
// name is for plain HTTP, where browsers refuse the prefix.
const CSRF_COOKIES = ["__Host-csrf", "csrf"];

/** What the page knows of who is signed in. */
export interface Session {
  /** Names the login that all content belongs to; "" where nobody is signed in. */
  login: string;
  /** The service wants to know who asks. */
  asked: boolean;
  /** There was a login, and it ended without anybody asking for that. */
  ended: boolean;
}

let session: Session = { login: "", asked: false, ended: false };
const listeners = new Set<() => void>();

function set(next: Session) {
  session = next;
  listeners.forEach((listener) => listener());
}

/** What requests that change something have to show. */
export function csrfToken(): string {
  const cookies = new Map(document.cookie.split("; ").map((cookie) => cookie.split("=", 2) as [string, string]));
  return CSRF_COOKIES.map((name) => cookies.get(name)).find((value) => value !== undefined) ?? "";
}

/** Everything from here on belongs to whom the cookies say: at first, and after signing in or out. */
export function beginSession() {
  set({ login: csrfToken(), asked: false, ended: false });
}

/** Whether the login is another one by now, as after signing out in another tab; content is made anew then. */
export function hasLoginChanged(): boolean {
  const login = csrfToken();
  if (login === session.login) return false;
  set({ login, asked: false, ended: session.login !== "" });
  return true;
}

/** The service does not answer before somebody signs in. */
export function askToSignIn() {
  if (!session.asked) set({ ...session, asked: true, ended: session.ended || session.login !== "" });
}

/** The session as it is, and from then on. */
export function useSession(): Session {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => session,
  );
}
