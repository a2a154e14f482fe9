import { screen, waitFor, within } from "@testing-library/react";
import { delay, http, HttpResponse } from "msw";
import { describe, expect, it } from "vitest";
import { open } from "@/testing/open";
import { problem, service, user } from "@/testing/service";

const rows = () => screen.getAllByRole("rowheader").map((cell) => within(cell).getByRole("link").textContent);

describe("the list", () => {
  it("shows users newest first with address and status", async () => {
    service.users = [user(1, "Ada Lovelace"), user(2, "Alan Turing", "suspended")];
    open();
    await screen.findByText("Ada Lovelace");
    expect(rows()).toEqual(["Alan Turing", "Ada Lovelace"]);
    const row = screen.getByRole("row", { name: /Alan Turing/ });
    expect(within(row).getByText("alan.turing@example.com")).toBeVisible();
    expect(within(row).getByText("Suspended")).toBeVisible();
    expect(screen.getByText("2 users")).toBeVisible();
  });

  it("says that it is loading", async () => {
    service.network.use(http.get("*/api/users", () => delay("infinite")));
    open();
    expect(await screen.findByRole("progressbar", { name: "Loading users" })).toBeVisible();
  });

  it("invites to create the first user where there is none", async () => {
    open();
    expect(await screen.findByRole("heading", { name: "No users yet" })).toBeVisible();
    expect(screen.getByRole("link", { name: "Create the first user" })).toHaveAttribute("href", "/users/new");
  });

  it("can be narrowed to one status, also to one that nobody has", async () => {
    service.users = [user(1, "Ada Lovelace"), user(2, "Alan Turing", "inactive")];
    const person = open();
    await screen.findByText("Ada Lovelace");
    await person.click(screen.getByRole("radio", { name: "Inactive" }));
    await waitFor(() => expect(rows()).toEqual(["Alan Turing"]));
    await person.click(screen.getByRole("radio", { name: "Suspended" }));
    expect(await screen.findByRole("heading", { name: "Nobody here" })).toBeVisible();
  });

  it("continues where the first page ends", async () => {
    service.users = Array.from({ length: 30 }, (_, index) => user(index + 1, `Person ${index + 1}`));
    const person = open();
    expect(await screen.findByText("First 25 users")).toBeVisible();
    await person.click(screen.getByRole("button", { name: "Show more" }));
    expect(await screen.findByText("30 users")).toBeVisible();
    expect(rows().at(-1)).toBe("Person 1");
    expect(screen.queryByRole("button", { name: "Show more" })).not.toBeInTheDocument();
  });

  it("shows what the service says when it cannot answer, and tries again", async () => {
    service.network.use(http.get("*/api/users", () => problem(400, "x", "The limit is wrong."), { once: true }));
    service.users = [user(1, "Ada Lovelace")];
    const person = open();
    expect(await screen.findByRole("alert")).toHaveTextContent("The limit is wrong.");
    await person.click(screen.getByRole("button", { name: "Try again" }));
    expect(await screen.findByText("Ada Lovelace")).toBeVisible();
  });

  it("tries an outage once more by itself, then says that nothing answers", async () => {
    let calls = 0;
    service.network.use(
      http.get("*/api/users", () => {
        calls += 1;
        return HttpResponse.error();
      }),
    );
    open();
    expect(await screen.findByRole("alert", {}, { timeout: 4000 })).toHaveTextContent("cannot be reached");
    expect(calls).toBe(2);
  });
});

describe("creating", () => {
  it("stores what was typed, trimmed, and tells about it", async () => {
    const person = open();
    await person.click(await screen.findByRole("link", { name: "New user" }));
    const form = screen.getByRole("dialog", { name: "New user" });
    await person.type(within(form).getByLabelText("Name"), "  Grace Hopper ");
    await person.type(within(form).getByLabelText("E-mail address"), "grace@example.com");
    await person.click(within(form).getByRole("radio", { name: "Inactive" }));
    await person.click(within(form).getByRole("button", { name: "Create user" }));
    expect(await screen.findByRole("link", { name: "Grace Hopper" })).toBeVisible();
    expect(service.users[0]).toMatchObject({ name: "Grace Hopper", email: "grace@example.com", status: "inactive" });
    expect(screen.getByText("Grace Hopper was created.")).toBeVisible();
    await waitFor(() => expect(screen.queryByRole("dialog")).not.toBeInTheDocument());
  });

  it("names what is missing, goes to the first field, and sends nothing", async () => {
    const person = open("/users/new");
    await person.type(await screen.findByLabelText("E-mail address"), "grace");
    await person.click(screen.getByRole("button", { name: "Create user" }));
    expect(screen.getByLabelText("Name")).toHaveAccessibleDescription("The name is required.");
    expect(screen.getByLabelText("E-mail address")).toHaveAccessibleDescription(/must look like name@example.com/);
    expect(screen.getByLabelText("Name")).toBeInvalid();
    await waitFor(() => expect(screen.getByLabelText("Name")).toHaveFocus());
    expect(service.users).toEqual([]);
  });

  it("puts a complaint of the service beside its field until that is changed", async () => {
    service.users = [user(1, "Ada Lovelace")];
    const person = open("/users/new");
    await person.type(await screen.findByLabelText("Name"), "Another Ada");
    await person.type(screen.getByLabelText("E-mail address"), "ada.lovelace@example.com");
    await person.click(screen.getByRole("button", { name: "Create user" }));
    expect(await screen.findByText("This e-mail address belongs to another user.")).toBeVisible();
    expect(screen.getByLabelText("E-mail address")).toBeInvalid();
    await person.type(screen.getByLabelText("E-mail address"), ".org");
    expect(screen.getByLabelText("E-mail address")).toBeValid();
  });

  it("shows an outage above the form and keeps what was typed", async () => {
    service.network.use(http.post("*/api/users", () => new HttpResponse("<html>", { status: 502 })));
    const person = open("/users/new");
    await person.type(await screen.findByLabelText("Name"), "Grace");
    await person.type(screen.getByLabelText("E-mail address"), "grace@example.com");
    await person.click(screen.getByRole("button", { name: "Create user" }));
    expect(await screen.findByRole("alert")).toHaveTextContent("The service answered with an error (502).");
    expect(screen.getByLabelText("Name")).toHaveValue("Grace");
  });
});

describe("editing", () => {
  it("starts from what is stored, saves it and shows it in the list", async () => {
    service.users = [user(1, "Ada Lovelace")];
    const person = open();
    await person.click(await screen.findByRole("link", { name: "Edit Ada Lovelace" }));
    const name = await screen.findByLabelText("Name");
    expect(name).toHaveValue("Ada Lovelace");
    await person.clear(name);
    await person.type(name, "Ada King");
    await person.click(screen.getByRole("button", { name: "Save changes" }));
    expect(await screen.findByText("Ada King was saved.")).toBeVisible();
    await waitFor(() => expect(rows()).toEqual(["Ada King"]));
  });

  it("tells whether the user came from the cache", async () => {
    service.users = [user(1, "Ada Lovelace")];
    const person = open();
    await person.click(await screen.findByRole("link", { name: "Edit Ada Lovelace" }));
    expect(await screen.findByText("Database")).toBeVisible();
    await person.click(screen.getByRole("button", { name: "Cancel" }));
    await person.click(screen.getByRole("link", { name: "Edit Ada Lovelace" }));
    expect(await screen.findByText("Cache")).toBeVisible();
  });

  it("says so where there is no such user", async () => {
    open("/users/7");
    expect(await screen.findByText("There is no such user.")).toBeVisible();
  });
});

describe("deleting", () => {
  it("asks first, and does nothing where the answer is no", async () => {
    service.users = [user(1, "Ada Lovelace")];
    const person = open();
    await person.click(await screen.findByRole("button", { name: "Delete Ada Lovelace" }));
    const question = screen.getByRole("alertdialog", { name: "Delete Ada Lovelace?" });
    expect(within(question).getByRole("button", { name: "Cancel" })).toHaveFocus();
    await person.click(within(question).getByRole("button", { name: "Cancel" }));
    expect(screen.queryByRole("alertdialog")).not.toBeInTheDocument();
    expect(service.users).toHaveLength(1);
  });

  it("removes the user from service and list", async () => {
    service.users = [user(1, "Ada Lovelace"), user(2, "Alan Turing")];
    const person = open();
    await person.click(await screen.findByRole("button", { name: "Delete Ada Lovelace" }));
    await person.click(screen.getByRole("button", { name: "Delete user" }));
    expect(await screen.findByText("Ada Lovelace was deleted.")).toBeVisible();
    await waitFor(() => expect(rows()).toEqual(["Alan Turing"]));
  });

  it("is done also where somebody else was faster", async () => {
    service.users = [user(1, "Ada Lovelace")];
    const person = open();
    await person.click(await screen.findByRole("button", { name: "Delete Ada Lovelace" }));
    service.users = [];
    await person.click(screen.getByRole("button", { name: "Delete user" }));
    expect(await screen.findByText("Ada Lovelace was deleted.")).toBeVisible();
  });

  it("stays open with the reason where it fails", async () => {
    service.users = [user(1, "Ada Lovelace")];
    service.network.use(http.delete("*/api/users/1", () => new HttpResponse(null, { status: 503 })));
    const person = open();
    await person.click(await screen.findByRole("button", { name: "Delete Ada Lovelace" }));
    await person.click(screen.getByRole("button", { name: "Delete user" }));
    expect(await screen.findByRole("alert")).toHaveTextContent("(503)");
    expect(screen.getByRole("alertdialog")).toBeVisible();
  });
});

describe("the state of the service", () => {
  it.each([
    [200, { status: "UP" }, "Service: Operational"],
    [200, { status: "DEGRADED" }, "Service: Running without cache"],
    [503, { status: "DOWN" }, "Service: Database down"],
    [503, { status: "OUT_OF_SERVICE" }, "Service: Restarting"],
    [404, { error: "nothing" }, "Service: Service unreachable"],
  ])("is told in a word: %i %o", async (status, body, label) => {
    service.health = { status, body };
    open();
    expect(await screen.findByLabelText(label)).toBeVisible();
  });

  it("is unreachable where nothing answers", async () => {
    service.network.use(http.get("*/actuator/health", () => HttpResponse.error()));
    open();
    expect(await screen.findByLabelText("Service: Service unreachable")).toBeVisible();
  });
});

it("an unknown address leads back to the users", async () => {
  const person = open("/nothing/here");
  expect(screen.getByRole("heading", { name: "There is no such page" })).toBeVisible();
  await person.click(screen.getByRole("link", { name: "Go to the users" }));
  expect(await screen.findByRole("heading", { name: "Users" })).toBeVisible();
});
