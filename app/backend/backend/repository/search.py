"""What a search for users compares: an e-mail address as a whole, or words with the beginnings of a name's words.

Rows hold every beginning of every word, so that a search is a comparison of whole values: an index serves it, and it
goes on to work where the values are made unreadable, each by itself.
"""

from __future__ import annotations

import re
import unicodedata

LONGEST = 20  # characters; longer words are told apart by these
_BETWEEN_WORDS = re.compile(r"[\s.,'’\"()/-]+")


def beginnings(name: str) -> list[str]:
    """What a row with this name is found by."""
    return sorted({word[:end] for word in _words(name) for end in range(1, min(len(word), LONGEST) + 1)})


def wanted(search: str) -> tuple[str | None, list[str] | None]:
    """(the address, None) or (None, what the row's beginnings must all hold)."""
    if re.fullmatch(r"\S+@\S+", search):
        return search, None
    # What holds no word is no beginning of any.
    return None, sorted({word[:LONGEST] for word in _words(search)}) or [search]


def _words(text: str) -> list[str]:
    return [word for word in _BETWEEN_WORDS.split(unicodedata.normalize("NFKC", text).casefold()) if word]
