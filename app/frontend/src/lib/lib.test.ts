import { CanceledError } from "axios";
import { describe, expect, it } from "vitest";
import { ApiError, apiErrorFrom } from "./api";
import { messagesFrom } from "./forms";
import { ago, moment } from "./time";

const NOW = Date.parse("2026-11-22T12:00:00Z");

describe("ago", () => {
  it.each([
    ["2026-11-22T11:59:30Z", "just now"],
    ["2026-11-22T12:00:09Z", "just now"],
    ["2026-11-22T11:59:00Z", "1 minute ago"],
    ["2026-11-22T09:00:00Z", "3 hours ago"],
    ["2026-11-21T11:00:00Z", "yesterday"],
    ["2026-09-01T12:00:00Z", "2 months ago"],
    ["2020-01-01T00:00:00Z", "6 years ago"],
  ])("%s was %s", (iso, words) => {
    expect(ago(iso, NOW)).toBe(words);
  });

  it("gives the exact moment in full elsewhere", () => {
    expect(moment("2026-11-22T12:00:00Z")).toMatch(/Nov 2\d, 2026/);
  });
});

describe("errors of requests", () => {
  it("leaves a cancelled request a cancelled request", () => {
    const cancelled = new CanceledError("gone");
    expect(apiErrorFrom(cancelled)).toBe(cancelled);
  });

  it("passes on what is no answer at all", () => {
    expect(apiErrorFrom("odd").message).toBe("odd");
    expect(apiErrorFrom("odd")).not.toBeInstanceOf(ApiError);
  });
});

it("of the service's complaints the first one about each field of the form is kept", () => {
  const errors = [
    { field: "name", code: "a", detail: "first" },
    { field: "name", code: "b", detail: "second" },
    { field: "id", code: "c", detail: "unknown" },
    { field: null, code: "d", detail: "none" },
  ];
  expect(messagesFrom(errors, { name: "", email: "" })).toEqual({ name: "first" });
});
