"""HTTP: routes, JSON and status codes."""
