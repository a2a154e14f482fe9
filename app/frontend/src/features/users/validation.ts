import type { Messages } from "@/lib/forms";
import type { UserFields } from "./types";

const NAME_MAX = 100;
const EMAIL_MAX = 254;
// Loose on purpose: it spares a round trip for slips; the service decides.
const EMAIL = /^[^\s@]+@[^\s@.]+(\.[^\s@.]+)+$/;

/** What is wrong with each field; empty where nothing is. */
export function validate(fields: UserFields): Messages<UserFields> {
  const messages: Messages<UserFields> = {};
  const name = fields.name.trim();
  const email = fields.email.trim();
  if (name === "") messages.name = "The name is required.";
  else if (name.length > NAME_MAX) messages.name = `The name must have at most ${NAME_MAX} characters.`;
  if (email === "") messages.email = "The e-mail address is required.";
  else if (email.length > EMAIL_MAX) messages.email = `The address must have at most ${EMAIL_MAX} characters.`;
  else if (!EMAIL.test(email)) messages.email = "The e-mail address must look like name@example.com.";
  return messages;
}
