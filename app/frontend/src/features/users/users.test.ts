import { describe, expect, it } from "vitest";
import { initials } from "./initials";
import { validate } from "./validation";

describe("validation", () => {
  it("has nothing to say about good fields", () => {
    expect(validate({ name: "Ada", email: "ada@example.com", status: "active" })).toEqual({});
  });

  it.each(["ada", "ada@", "@example.com", "ada@example", "a b@example.com", "ada@example..com"])(
    "%s is no address",
    (email) => {
      expect(validate({ name: "Ada", email, status: "active" })).toEqual({
        email: "The e-mail address must look like name@example.com.",
      });
    },
  );

  it("knows the service's limits of length", () => {
    const messages = validate({ name: "x".repeat(101), email: `${"x".repeat(250)}@a.io`, status: "active" });
    expect(messages.name).toBe("The name must have at most 100 characters.");
    expect(messages.email).toBe("The address must have at most 254 characters.");
  });

  it("takes blanks for nothing", () => {
    expect(Object.keys(validate({ name: "  ", email: " ", status: "active" }))).toEqual(["name", "email"]);
  });
});

describe("initials", () => {
  it.each([
    ["Ada Lovelace", "AL"],
    ["Augusta Ada King", "AK"],
    ["plato", "P"],
    [" 王 小明 ", "王小"],
    ["🚀 Rocket", "🚀R"],
  ])("of %s are %s", (name, letters) => {
    expect(initials(name)).toBe(letters);
  });
});
