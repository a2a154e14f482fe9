import { HttpResponse } from "msw";
import type { FieldError } from "@/lib/api";

/** An error answer in the service's shape. */
export function problem(
  status: number,
  code: string,
  detail: string,
  errors: FieldError[] = [],
  headers: Record<string, string> = {},
) {
  const body = { type: `urn:capstan:problem:${code}`, title: code, status, detail, code, errors };
  return HttpResponse.json(body, { status, headers: { "Content-Type": "application/problem+json", ...headers } });
}
