import { delay, http as network } from "msw";
import { beforeEach, describe, expect, it } from "vitest";
import { service } from "@/testing/service";
import { http } from "./api";
import { beginSession } from "./session";

const { accounts } = service;
const refreshes = () => accounts.calls.filter((call) => call === "POST /api/auth/refresh").length;

describe("requests whose access token is over", () => {
  beforeEach(() => {
    accounts.enter("Ada Lovelace", "admin");
    beginSession();
    accounts.stale = true;
  });

  it("share one refresh where they are refused at the same time, as its token is good once", async () => {
    // Whoever else is refused meets it under way.
    service.network.use(network.post("*/api/auth/refresh", () => delay(50)));
    const answers = await Promise.all([http.get("/api/users"), http.get("/api/users/1"), http.get("/api/auth/me")]);
    expect(answers.map((answer) => answer.status)).toEqual([200, 200, 200]);
    expect(refreshes()).toBe(1);
  });

  it("are only sent again where another one's refresh was done before they were refused", async () => {
    const stages: string[] = [];
    service.network.use(
      network.get(
        "*/api/users/1",
        async ({ request }) => {
          const refused = accounts.refuses(request, "admin");
          stages.push("refused");
          await expect.poll(() => stages).toContain("refreshed by another one");
          return refused;
        },
        { once: true },
      ),
    );
    const slow = http.get("/api/users/1");
    await expect.poll(() => stages).toContain("refused");
    expect((await http.get("/api/users")).status).toBe(200);
    stages.push("refreshed by another one");
    expect((await slow).status).toBe(200);
    expect(refreshes()).toBe(1);
  });

  it("are refreshed again the next time", async () => {
    await http.get("/api/users");
    accounts.stale = true;
    await http.get("/api/users");
    expect(refreshes()).toBe(2);
  });
});
