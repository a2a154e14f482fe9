import { screen, waitFor, within } from "@testing-library/react";
import type { UserEvent } from "@testing-library/user-event";
import { delay, http, HttpResponse } from "msw";
import { describe, expect, it } from "vitest";
import { open } from "@/testing/open";
import { problem, service, user } from "@/testing/service";

const PASSWORD = "correct horse battery";
const { accounts } = service;
const refreshes = () => accounts.calls.filter((call) => call === "POST /api/auth/refresh").length;

async function signIn(person: UserEvent, email: string, password = PASSWORD) {
  await person.type(await screen.findByLabelText("E-mail address"), email);
  await person.type(screen.getByLabelText("Password"), password);
  await person.click(screen.getByRole("button", { name: "Sign in" }));
}

describe("signing in", () => {
  it("is never seen where the service does not ask for it", async () => {
    service.users = [user(1, "Ada Lovelace")];
    open();
    expect(await screen.findByText("Ada Lovelace")).toBeVisible();
    expect(screen.queryByRole("button", { name: "Sign out" })).not.toBeInTheDocument();
    expect(accounts.calls.filter((call) => call.includes("/api/auth"))).toEqual([]);
  });

  it("stands in place of the content where the service asks, and leads back to where one was", async () => {
    accounts.required = true;
    accounts.join("Ada Lovelace", "admin");
    accounts.join("Alan Turing");
    const person = open("/users/2");
    expect(await screen.findByRole("heading", { name: "Sign in" })).toBeVisible();
    expect(screen.queryByRole("heading", { name: "Users" })).not.toBeInTheDocument();
    expect(screen.getByLabelText("E-mail address")).toHaveFocus();
    await signIn(person, "ada.lovelace@example.com");
    expect(await screen.findByLabelText("Name")).toHaveValue("Alan Turing");
    expect(screen.getByRole("link", { name: "Your account, Ada Lovelace" })).toBeVisible();
    expect(refreshes()).toBe(0);
  });

  it("shows no form that would go while somebody types, before it is known whether the service asks", async () => {
    accounts.required = true;
    service.network.use(http.get("*/api/users", () => delay("infinite")));
    open("/users/new");
    expect(await screen.findByRole("progressbar", { name: "Loading users" })).toBeVisible();
    expect(screen.queryByRole("dialog")).not.toBeInTheDocument();
  });

  it("puts the focus to the beginning of the content", async () => {
    accounts.required = true;
    accounts.join("Ada Lovelace", "admin");
    const person = open();
    await signIn(person, "ada.lovelace@example.com");
    expect(await screen.findByRole("heading", { name: "Users" })).toBeVisible();
    expect(screen.getByRole("main")).toHaveFocus();
  });

  it("tells password managers which field is which", async () => {
    accounts.required = true;
    const person = open();
    expect(await screen.findByLabelText("E-mail address")).toHaveAttribute("autocomplete", "username");
    expect(screen.getByLabelText("Password")).toHaveAttribute("autocomplete", "current-password");
    await person.click(screen.getByRole("button", { name: "Create an account" }));
    expect(screen.getByLabelText("E-mail address")).toHaveAttribute("autocomplete", "username");
    expect(screen.getByLabelText("Password")).toHaveAttribute("autocomplete", "new-password");
  });

  it("says that address or password are wrong, and keeps them", async () => {
    accounts.required = true;
    accounts.join("Ada Lovelace");
    const person = open();
    await signIn(person, "ada.lovelace@example.com", "a wrong guess");
    expect(await screen.findByRole("alert")).toHaveTextContent("The e-mail address or the password is wrong.");
    expect(screen.getByLabelText("Password")).toHaveValue("a wrong guess");
    expect(refreshes()).toBe(0);
  });

  it.each([
    ["4", "Too many tries: please wait 4 seconds before the next one."],
    ["1", "Too many tries: please wait 1 second before the next one."],
  ])("says how long to wait after too many tries: %s s", async (seconds, sentence) => {
    accounts.required = true;
    const headers = { "Retry-After": seconds };
    service.network.use(
      http.post("*/api/auth/login", () => problem(429, "too_many_requests", "Too many wrong passwords.", [], headers)),
    );
    const person = open();
    await signIn(person, "ada@example.com");
    expect(await screen.findByRole("alert")).toHaveTextContent(sentence);
  });

  it("says that the service cannot be reached", async () => {
    accounts.required = true;
    service.network.use(http.post("*/api/auth/login", () => HttpResponse.error()));
    const person = open();
    await signIn(person, "ada@example.com");
    expect(await screen.findByRole("alert")).toHaveTextContent("The service cannot be reached.");
  });

  it("says why nobody is signed in where the browser keeps no cookies", async () => {
    accounts.required = true;
    service.network.use(http.post("*/api/auth/login", () => HttpResponse.json({ csrf_token: "refused" })));
    const person = open();
    await signIn(person, "ada@example.com");
    expect(await screen.findByRole("alert")).toHaveTextContent("The browser kept no cookies");
  });

  it("names what is missing and sends nothing", async () => {
    accounts.required = true;
    const person = open();
    await person.click(await screen.findByRole("button", { name: "Sign in" }));
    expect(screen.getByLabelText("E-mail address")).toHaveAccessibleDescription("The e-mail address is required.");
    expect(screen.getByLabelText("Password")).toHaveAccessibleDescription("The password is required.");
    await waitFor(() => expect(screen.getByLabelText("E-mail address")).toHaveFocus());
    expect(accounts.calls).not.toContain("POST /api/auth/login");
  });
});

describe("creating an account", () => {
  async function fill(person: UserEvent, password: string) {
    await person.click(await screen.findByRole("button", { name: "Create an account" }));
    await person.type(screen.getByLabelText("Name"), "Grace Hopper");
    await person.type(screen.getByLabelText("E-mail address"), "grace@example.com");
    await person.type(screen.getByLabelText("Password"), password);
    await person.click(screen.getByRole("button", { name: "Create account" }));
  }

  it("signs in with it, and shows one's own user", async () => {
    accounts.required = true;
    const person = open();
    await fill(person, PASSWORD);
    expect(await screen.findByRole("heading", { name: "Your account" })).toBeVisible();
    expect(screen.getByText("grace@example.com")).toBeVisible();
  });

  it("puts the service's complaint beside its field", async () => {
    accounts.required = true;
    const person = open();
    await fill(person, "short");
    const field = screen.getByLabelText("Password");
    await waitFor(() => expect(field).toHaveAccessibleDescription("The password must have 12 to 200 characters."));
    expect(field).toBeInvalid();
    expect(field).toHaveFocus();
  });

  it("takes the address that was typed along, there and back", async () => {
    accounts.required = true;
    const person = open();
    await person.type(await screen.findByLabelText("E-mail address"), "grace@example.com");
    await person.click(screen.getByRole("button", { name: "Create an account" }));
    expect(screen.getByLabelText("E-mail address")).toHaveValue("grace@example.com");
    await person.click(screen.getByRole("button", { name: "Sign in" }));
    expect(screen.getByLabelText("E-mail address")).toHaveValue("grace@example.com");
  });

  it("says so where the account is there, but signing in with it failed", async () => {
    accounts.required = true;
    service.network.use(http.post("*/api/auth/login", () => HttpResponse.error()));
    const person = open();
    await fill(person, PASSWORD);
    expect(await screen.findByRole("alert")).toHaveTextContent("The account was created, but not signed in.");
  });
});

describe("a login", () => {
  it("is refreshed unseen", async () => {
    accounts.enter("Ada Lovelace", "admin");
    accounts.stale = true;
    open();
    expect(await screen.findByRole("link", { name: "Ada Lovelace" })).toBeVisible();
    expect(refreshes()).toBe(1);
  });

  it("survives a refresh in the middle of a change, which is made once", async () => {
    accounts.enter("Ada Lovelace", "admin");
    const person = open("/users/new");
    await person.type(await screen.findByLabelText("Name"), "Grace Hopper");
    await person.type(screen.getByLabelText("E-mail address"), "grace@example.com");
    accounts.stale = true;
    await person.click(screen.getByRole("button", { name: "Create user" }));
    expect(await screen.findByText("Grace Hopper was created.")).toBeVisible();
    expect(service.users.map((one) => one.name)).toEqual(["Ada Lovelace", "Grace Hopper"]);
    expect(refreshes()).toBe(1);
  });

  it("that ended by itself leads to the form, which says so", async () => {
    accounts.enter("Ada Lovelace", "admin");
    const person = open();
    await screen.findByRole("link", { name: "Ada Lovelace" });
    accounts.end();
    await person.click(screen.getByRole("radio", { name: "Inactive" }));
    expect(await screen.findByText(/Your session has ended/)).toBeVisible();
  });

  it("is not given up for an outage while it is refreshed", async () => {
    accounts.enter("Ada Lovelace", "admin");
    service.network.use(http.post("*/api/auth/refresh", () => new HttpResponse(null, { status: 503 })));
    accounts.stale = true;
    open();
    expect(await screen.findByRole("alert", {}, { timeout: 4000 })).toHaveTextContent("(503)");
    expect(screen.queryByRole("heading", { name: "Sign in" })).not.toBeInTheDocument();
  });

  it("of another service on this machine does not matter where there are none", async () => {
    document.cookie = "csrf=foreign; Path=/";
    service.users = [user(1, "Ada Lovelace")];
    service.network.use(http.get("*/api/auth/me", () => problem(404, "not_found", "There is no such address.")));
    open();
    expect(await screen.findByText("Ada Lovelace")).toBeVisible();
    expect(screen.getByRole("link", { name: "New user" })).toBeVisible();
  });

  it("cannot be looked up in an outage, which is told and tried again", async () => {
    accounts.enter("Ada Lovelace", "admin");
    service.network.use(http.get("*/api/auth/me", () => problem(400, "x", "Not now."), { once: true }));
    const person = open();
    expect(await screen.findByRole("alert")).toHaveTextContent("Not now.");
    await person.click(screen.getByRole("button", { name: "Try again" }));
    expect(await screen.findByRole("heading", { name: "Users" })).toBeVisible();
  });
});

describe("signing out", () => {
  it("ends the login at the service, and the next person sees nothing of the one before", async () => {
    accounts.join("Alan Turing");
    accounts.enter("Ada Lovelace", "admin");
    const person = open("/users/1");
    await screen.findByLabelText("Name");
    await person.click(screen.getByRole("button", { name: "Cancel" }));
    await person.click(screen.getByRole("button", { name: "Sign out" }));
    await signIn(person, "alan.turing@example.com");
    expect(await screen.findByRole("heading", { name: "Your account" })).toBeVisible();
    expect(screen.queryByText("Ada Lovelace")).not.toBeInTheDocument();
    expect(accounts.calls).toContain("POST /api/auth/logout");
  });

  it("empties what was kept of answers: the next administrator waits for a list of their own", async () => {
    accounts.join("Alan Turing", "admin");
    accounts.enter("Ada Lovelace", "admin");
    const person = open();
    await screen.findByRole("link", { name: "Alan Turing" });
    await person.click(screen.getByRole("button", { name: "Sign out" }));
    await screen.findByRole("heading", { name: "Sign in" });
    service.network.use(http.get("*/api/users", () => delay("infinite")));
    await signIn(person, "alan.turing@example.com");
    expect(await screen.findByRole("progressbar", { name: "Loading users" })).toBeVisible();
    expect(screen.queryByText("ada.lovelace@example.com")).not.toBeInTheDocument();
  });

  it("in another tab shows at the next request", async () => {
    accounts.enter("Ada Lovelace", "admin");
    const person = open();
    await person.click(await screen.findByRole("button", { name: "Delete Ada Lovelace" }));
    accounts.end();
    await person.click(screen.getByRole("button", { name: "Delete user" }));
    expect(await screen.findByRole("heading", { name: "Sign in" })).toBeVisible();
    expect(service.users).toHaveLength(1);
  });

  it("and in again as somebody else in another tab sends nothing in that name", async () => {
    accounts.join("Alan Turing", "admin");
    accounts.enter("Ada Lovelace", "admin");
    const person = open();
    await person.click(await screen.findByRole("button", { name: "Delete Ada Lovelace" }));
    accounts.begin(1);
    await person.click(screen.getByRole("button", { name: "Delete user" }));
    expect(await screen.findByRole("link", { name: "Your account, Alan Turing" })).toBeVisible();
    expect(screen.queryByRole("alertdialog")).not.toBeInTheDocument();
    expect(service.users).toHaveLength(2);
  });

  it("that fails says that one is still signed in", async () => {
    accounts.enter("Ada Lovelace", "admin");
    service.network.use(http.post("*/api/auth/logout", () => HttpResponse.error()));
    const person = open();
    await person.click(await screen.findByRole("button", { name: "Sign out" }));
    expect(await screen.findByRole("alert")).toHaveTextContent(
      "You are still signed in. The service cannot be reached.",
    );
  });
});

describe("roles", () => {
  it("an auditor sees the list and each user, and nothing that changes them", async () => {
    accounts.join("Alan Turing");
    accounts.enter("Ada Lovelace", "auditor");
    const person = open();
    await person.click(await screen.findByRole("link", { name: "Alan Turing" }));
    const drawer = screen.getByRole("dialog", { name: "User" });
    expect(await within(drawer).findByText("alan.turing@example.com")).toBeVisible();
    expect(screen.queryByRole("textbox")).not.toBeInTheDocument();
    const names = screen.getAllByRole("button").map((button) => button.textContent);
    expect(names.filter((name) => /delete|save|edit/i.test(name))).toEqual([]);
    expect(screen.queryByRole("link", { name: /New user|Edit/ })).not.toBeInTheDocument();
  });

  it("an auditor is told that new users are for administrators", async () => {
    accounts.enter("Ada Lovelace", "auditor");
    open("/users/new");
    expect(await screen.findByRole("alert")).toHaveTextContent("This is for administrators");
  });

  it("a user sees and edits their own user, but for the status", async () => {
    accounts.join("Alan Turing");
    accounts.enter("Ada Lovelace");
    const person = open();
    expect(await screen.findByRole("heading", { name: "Your account" })).toBeVisible();
    await person.click(screen.getByRole("link", { name: "Edit" }));
    const name = await screen.findByLabelText("Name");
    expect(screen.queryByRole("group", { name: "Status" })).not.toBeInTheDocument();
    await person.clear(name);
    await person.type(name, "Ada King");
    await person.click(screen.getByRole("button", { name: "Save changes" }));
    expect(await screen.findByText("Ada King was saved.")).toBeVisible();
    expect(await screen.findByRole("link", { name: "Your account, Ada King" })).toBeVisible();
    expect(accounts.calls).not.toContain("GET /api/users");
  });

  it("what is refused all the same says so", async () => {
    accounts.join("Alan Turing");
    accounts.enter("Ada Lovelace", "admin");
    service.network.use(http.delete("*/api/users/1", () => problem(403, "forbidden", "You may not do this.")));
    const person = open();
    await person.click(await screen.findByRole("button", { name: "Delete Alan Turing" }));
    await person.click(screen.getByRole("button", { name: "Delete user" }));
    expect(await screen.findByRole("alert")).toHaveTextContent("You may not do this.");
  });
});

describe("another password", () => {
  async function change(person: UserEvent, current: string) {
    await person.click(await screen.findByRole("link", { name: "Change password" }));
    await person.type(screen.getByLabelText("Current password"), current);
    await person.type(screen.getByLabelText("New password"), "battery staple horse");
    await person.click(screen.getByRole("button", { name: "Change password" }));
  }

  it.each(["user", "auditor", "admin"] as const)("is for everybody: %s", async (role) => {
    accounts.enter("Ada Lovelace", role);
    const person = open("/account");
    await change(person, PASSWORD);
    expect(await screen.findByText("Your password was changed.")).toBeVisible();
    await person.click(screen.getByRole("button", { name: "Sign out" }));
    await signIn(person, "ada.lovelace@example.com", "battery staple horse");
    expect(await screen.findByRole("link", { name: "Your account, Ada Lovelace" })).toBeVisible();
  });

  it("needs the current one; a wrong one is told at its field and is no reason to sign in again", async () => {
    accounts.enter("Ada Lovelace");
    const person = open("/account");
    await change(person, "a wrong guess");
    const field = screen.getByLabelText("Current password");
    await waitFor(() => expect(field).toHaveAccessibleDescription("This is not the current password."));
    expect(refreshes()).toBe(0);
  });
});
