"""What browsers are told to refuse, with every answer."""

from __future__ import annotations

Headers = list[tuple[str, str]]

POLICY = "Content-Security-Policy"
POLICY_KEY = "capstan.policy"  # where an operation leaves its own
API_POLICY = "default-src 'none'; frame-ancestors 'none'"
# The documentation's page: one style sheet, no script.
PAGE_POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

ALWAYS: Headers = [
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
]
FOR_API = (POLICY, API_POLICY)
# Two years, as the browsers' own list of such hosts asks for at least one.
HTTPS_ONLY = ("Strict-Transport-Security", "max-age=63072000; includeSubDomains")
