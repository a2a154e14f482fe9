import "@testing-library/jest-dom/vitest";
import { cleanup } from "@testing-library/react";
import { afterAll, afterEach, beforeAll } from "vitest";
import { service } from "./service";

// jsdom knows <dialog> but not how to open it; browsers do, which the end-to-end tests show.
HTMLDialogElement.prototype.showModal = function showModal() {
  this.setAttribute("open", "");
};
HTMLDialogElement.prototype.close = function close() {
  this.removeAttribute("open");
};

beforeAll(() => service.network.listen({ onUnhandledRequest: "error" }));
afterEach(() => {
  cleanup();
  service.reset();
});
afterAll(() => service.network.close());
