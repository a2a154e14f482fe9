"""Pages of list answers."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import TypeVar

from .errors import AwsError

T = TypeVar("T")


def page(
    items: Sequence[T], key: Callable[[T], str], limit: int, token: str | None, bad_token: str
) -> tuple[list[T], str | None]:
    """Up to `limit` items after the one that `token` names, and the token of the next page.

    `items` are ordered by `key`, so that items which come or go between two pages neither repeat nor hide others.
    Raises AwsError(`bad_token`) for a token that was not made here.
    """
    after = None if token is None else _last_key(token, bad_token)
    rest = [item for item in sorted(items, key=key) if after is None or key(item) > after]
    chosen = rest[:limit]
    return chosen, _token(key(chosen[-1])) if len(rest) > limit else None


def _token(last: str) -> str:
    return base64.urlsafe_b64encode(f"after:{last}".encode()).decode()


def _last_key(token: str, bad_token: str) -> str:
    try:
        text = base64.urlsafe_b64decode(token.encode()).decode()
    except ValueError as error:
        raise AwsError(bad_token, "The pagination token is not valid.") from error
    if not text.startswith("after:"):
        raise AwsError(bad_token, "The pagination token is not valid.")
    return text.removeprefix("after:")
