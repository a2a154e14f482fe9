import { http, HttpResponse } from "msw";
import type { Role, User } from "@/features/users/types";
import { problem } from "./problem";

/** What the answers to requests of one kind need of the service's memory. */
interface Users {
  users: () => User[];
  add: (name: string, email: string) => User;
}

interface Account {
  id: number;
  password: string;
  role: Role;
}

/** Logins, as far as one browser can tell: its tokens are remembered here, only the CSRF cookie is a real one. */
export class Accounts {
  /** Whether callers have to show who they are. */
  required = false;
  /** The access token's hour is over; the refresh token still holds. */
  stale = false;
  /** The requests that came, in turn: "POST /api/auth/refresh". */
  calls: string[] = [];
  #known: Account[] = [];
  #login: { csrf: string; account: Account } | null = null;
  #logins = 0;

  constructor(private readonly service: Users) {}

  reset() {
    this.required = this.stale = false;
    this.calls = [];
    this.#known = [];
    this.end();
  }

  /** Somebody who is there already, with the password "correct horse battery". */
  join(name: string, role: Role = "user"): User {
    const made = this.service.add(name, `${name.toLowerCase().replaceAll(" ", ".")}@example.com`);
    this.#known.push({ id: made.id, password: "correct horse battery", role });
    return made;
  }

  /** As `join`, and with a browser that is signed in. */
  enter(name: string, role: Role = "user"): User {
    const made = this.join(name, role);
    this.required = true;
    this.begin(made.id);
    return made;
  }

  /** A login from elsewhere in this browser, as of another tab. */
  begin(id: number) {
    const account = this.#known.find((one) => one.id === id);
    if (account === undefined) throw new Error(`user ${id} has no account`);
    this.#logins += 1;
    this.#login = { csrf: `csrf-${this.#logins}`, account };
    this.stale = false;
    document.cookie = `csrf=${this.#login.csrf}; Path=/`;
  }

  /** The login is over, and its cookies are gone. */
  end() {
    this.#login = null;
    document.cookie = "csrf=; Path=/; Max-Age=0";
  }

  /** What refuses a request, or undefined. */
  refuses(request: Request, ...roles: Role[]) {
    if (this.#login === null || this.stale) {
      return this.required || this.#login !== null ? problem(401, "sign_in", "Please sign in.") : undefined;
    }
    if (request.method !== "GET" && request.headers.get("X-CSRF-Token") !== this.#login.csrf) {
      return problem(403, "csrf", "The header X-CSRF-Token is wrong.");
    }
    const { role, id } = this.#login.account;
    const own = request.url.endsWith(`/api/users/${id}`);
    return own || roles.includes(role) ? undefined : problem(403, "forbidden", "You may not do this.");
  }

  readonly handlers = [
    http.all("*", ({ request }) => {
      this.calls.push(`${request.method} ${new URL(request.url).pathname}`);
    }),
    http.post<never, { name: string; email: string; password: string }>("*/api/auth/register", async ({ request }) => {
      const { name, email, password } = await request.json();
      if (password.length < 12) {
        const detail = "The password must have 12 to 200 characters.";
        return problem(400, "wrong_length", detail, [{ field: "password", code: "wrong_length", detail }]);
      }
      const made = this.service.add(name, email);
      this.#known.push({ id: made.id, password, role: "user" });
      return HttpResponse.json(made, { status: 201 });
    }),
    http.post<never, { email: string; password: string }>("*/api/auth/login", async ({ request }) => {
      const given = await request.json();
      const user = this.service.users().find((one) => one.email === given.email);
      const account = this.#known.find((one) => one.id === user?.id && one.password === given.password);
      if (account === undefined) return wrongPassword();
      this.begin(account.id);
      return HttpResponse.json({ csrf_token: this.#login?.csrf });
    }),
    http.post("*/api/auth/refresh", ({ request }) => {
      if (this.#login === null) {
        this.end();
        return problem(401, "bad_token", "The token is not valid, or not any more.");
      }
      this.stale = false;
      return this.refuses(request, "user", "auditor", "admin") ?? HttpResponse.json({ csrf_token: this.#login.csrf });
    }),
    http.post("*/api/auth/logout", ({ request }) => {
      const refused = this.refuses(request, "user", "auditor", "admin");
      if (refused !== undefined) return refused;
      this.end();
      return new HttpResponse(null, { status: 204 });
    }),
    http.put<never, { current: string; new: string }>("*/api/auth/password", async ({ request }) => {
      const refused = this.refuses(request, "user", "auditor", "admin");
      if (refused !== undefined || this.#login === null) return refused;
      const { current, new: next } = await request.json();
      if (this.#login.account.password !== current) return wrongPassword();
      this.#login.account.password = next;
      return new HttpResponse(null, { status: 204 });
    }),
    http.get("*/api/auth/me", ({ request }) => {
      const refused = this.refuses(request, "user", "auditor", "admin");
      if (refused !== undefined || this.#login === null) return refused ?? problem(401, "sign_in", "Please sign in.");
      const { id, role } = this.#login.account;
      return HttpResponse.json({ user: this.service.users().find((one) => one.id === id), role });
    }),
  ];
}

function wrongPassword() {
  return problem(401, "bad_credentials", "The e-mail address or the password is wrong.");
}
