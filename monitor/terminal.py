"""How text that came from a job becomes harmless: nothing in it moves a cursor, sets a clipboard or hides."""

from __future__ import annotations

import re
from functools import lru_cache

from jobnb.display.words import one_line

TAB = 8
_UNSEEN = re.compile("[\u20dd-\u20e0\u20e2-\u20e4\u0488\u0489\u3164\u115f\u1160\uffa0\u2800]")
"""Marks that enclose what is before them, and letters that look like nothing: `one_line` lets both pass."""


def safe_line(text: str, limit: int = 200) -> str:
    """`text` on one line of at most `limit` characters; control characters become visible symbols.

    A character may still be two cells wide.
    """
    if text.isascii() and text.isprintable():
        return text if len(text) <= limit else text[: limit - 1] + "…"
    return _safe_line(text[: limit * 4 + 1], limit)


@lru_cache(maxsize=4096)
def _safe_line(text: str, limit: int) -> str:
    return one_line(_UNSEEN.sub("·", text), limit)


def safe_lines(text: str, limit: int = 10_000, lines: int = 100_000) -> list[str]:
    """`text` as harmless lines, tabs expanded; what is longer than `limit` or `lines` is cut, and says so."""
    found = text.split("\n", lines)
    rest = found[lines:]
    safe = [safe_line(line.rstrip("\r").expandtabs(TAB), limit) for line in found[:lines]]
    return [*safe, f"… {rest[0].count(chr(10)) + 1:,} more lines"] if rest else safe
