import { http, HttpResponse } from "msw";
import { setupServer } from "msw/node";
import type { User, UserFields } from "@/features/users/types";
import { Accounts } from "./accounts";
import { problem } from "./problem";

export { problem };

export function user(id: number, name: string, status: User["status"] = "active"): User {
  const email = `${name.toLowerCase().replaceAll(" ", ".")}@example.com`;
  return {
    id,
    name,
    email,
    status,
    created_at: "2026-11-20T10:00:00.000000Z",
    updated_at: "2026-11-21T10:00:00.000000Z",
  };
}

/** What the network answers: a service with a memory, as far as the page can tell. */
class Service {
  users: User[] = [];
  cached = new Set<number>();
  health: { status: number; body: object } = { status: 200, body: { status: "UP" } };

  readonly accounts = new Accounts({
    users: () => this.users,
    add: (name, email) => this.add(name, email),
  });

  readonly network = setupServer(
    ...this.accounts.handlers,
    http.get("*/api/users", ({ request }) => {
      const refused = this.accounts.refuses(request, "auditor", "admin");
      if (refused !== undefined) return refused;
      const query = new URL(request.url).searchParams;
      const status = query.get("status");
      const before = Number(query.get("cursor") ?? Number.MAX_SAFE_INTEGER);
      const limit = Number(query.get("limit"));
      const found = this.users
        .filter((one) => one.id < before && (status === null || one.status === status))
        .sort((one, other) => other.id - one.id);
      const items = found.slice(0, limit);
      return HttpResponse.json({ items, next_cursor: found.length > limit ? String(items.at(-1)?.id) : null });
    }),
    http.get("*/api/users/:id", ({ params, request }) => {
      const refused = this.accounts.refuses(request, "auditor", "admin");
      if (refused !== undefined) return refused;
      const found = this.find(params.id);
      if (found === undefined) return notFound();
      const hit = this.cached.has(found.id);
      this.cached.add(found.id);
      return HttpResponse.json(found, { headers: { "X-Cache": hit ? "hit" : "miss" } });
    }),
    http.post<never, UserFields>("*/api/users", async ({ request }) => {
      const refused = this.accounts.refuses(request, "admin");
      if (refused !== undefined) return refused;
      const fields = await request.json();
      if (this.users.some((one) => one.email === fields.email)) return taken();
      return HttpResponse.json(Object.assign(this.add(fields.name, fields.email), fields), { status: 201 });
    }),
    http.put<{ id: string }, UserFields>("*/api/users/:id", async ({ params, request }) => {
      const refused = this.accounts.refuses(request, "admin");
      if (refused !== undefined) return refused;
      const found = this.find(params.id);
      if (found === undefined) return notFound();
      Object.assign(found, await request.json());
      return HttpResponse.json(found);
    }),
    http.delete("*/api/users/:id", ({ params, request }) => {
      const refused = this.accounts.refuses(request, "admin");
      if (refused !== undefined) return refused;
      const found = this.find(params.id);
      if (found === undefined) return notFound();
      this.users = this.users.filter((one) => one !== found);
      return new HttpResponse(null, { status: 204 });
    }),
    http.get("*/actuator/health", () => HttpResponse.json(this.health.body, { status: this.health.status })),
  );

  reset() {
    this.users = [];
    this.cached.clear();
    this.health = { status: 200, body: { status: "UP" } };
    this.accounts.reset();
    this.network.resetHandlers();
  }

  private add(name: string, email: string): User {
    const made = { ...user(this.users.length + 1, name), email };
    this.users.push(made);
    return made;
  }

  private find(id: unknown): User | undefined {
    return this.users.find((one) => one.id === Number(id));
  }
}

function notFound() {
  return problem(404, "not_found", "There is no such user.");
}

function taken() {
  const detail = "This e-mail address belongs to another user.";
  return problem(409, "already_taken", detail, [{ field: "email", code: "already_taken", detail }]);
}

export const service = new Service();
