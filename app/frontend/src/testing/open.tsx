import { render } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { MemoryRouter } from "react-router";
import { App } from "@/app/App";
import { beginSession } from "@/lib/session";

/** The whole application at an address, and a person in front of it. */
export function open(address = "/") {
  beginSession();
  render(
    <MemoryRouter initialEntries={[address]}>
      <App />
    </MemoryRouter>,
  );
  return userEvent.setup();
}
