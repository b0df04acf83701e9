"""Texts made fit for a terminal: the one door that every text of a job passes before a widget sees it.

A text that went through `plain` takes one line, has a width that all terminals agree on, moves no cursor, reaches no
clipboard and turns no reading direction. Widgets get it as `Content` or `Segment`, never as markup.
"""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size

from monitor.terminal import safe_line, safe_lines

if TYPE_CHECKING:
    from collections.abc import Iterable

# Terminals disagree about the width of these, and one cell too many breaks every row it is in: they choose between a
# letter's text and emoji forms, colour it, or make a flag of two of them.
_DISPUTED = {
    **dict.fromkeys((*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0), *range(0x1F3FB, 0x1F400))),
    **dict.fromkeys(range(0x1F1E6, 0x1F200), "·"),
}


def plain(text: str, limit: int = 400) -> str:
    """`text` on one line of at most `limit` characters, with nothing in it but letters that stay where they are."""
    safe = safe_line(text, limit)
    return safe if safe.isascii() else _settled(safe)


def plain_lines(text: str, limit: int = 2000, most: int = 5000) -> list[str]:
    """The lines of `text`, each made `plain`; what is longer is cut, and says so."""
    return [line if line.isascii() else _settled(line) for line in safe_lines(text, limit, most)]


@lru_cache(maxsize=4096)
def _settled(safe: str) -> str:
    text = safe.translate(_DISPUTED)
    return "".join("·" if unicodedata.category(character) == "Cn" else character for character in text)


def fit(text: str, width: int) -> str:
    """A plain text cut or filled up to exactly `width` cells, with an ellipsis where it was cut."""
    if width <= 0:
        return ""
    if text.isascii():
        return text.ljust(width) if len(text) <= width else text[: width - 1] + "…"
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    return set_cell_size(text, width - 1) + "…"


def fit_right(text: str, width: int) -> str:
    """A plain text at the right end of exactly `width` cells, cut like `fit`."""
    room = width - cell_len(text)
    return " " * room + text if room >= 0 else fit(text, width)


def wrap(text: str, width: int) -> list[str]:
    """A plain text in pieces of at most `width` cells each, in order; at least one."""
    if width <= 1 or (text.isascii() and len(text) <= width):
        return [text]
    if text.isascii():
        return [text[start : start + width] for start in range(0, len(text), width)]
    pieces, piece, used = [], "", 0
    for character in text:
        size = cell_len(character)
        if used + size > width:
            pieces.append(piece)
            piece, used = "", 0
        piece += character
        used += size
    return [*pieces, piece]


def join(parts: Iterable[str], separator: str = " · ") -> str:
    """The parts that are not empty, in one line."""
    return separator.join(part for part in parts if part)


def span(seconds: float) -> str:
    """A length of time in one number and one letter, for tables: `8s`, `5m`, `3h`, `12d`."""
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{max(0, int(seconds))}s"


def age(moment: datetime | None, now: datetime) -> str:
    """How long ago that was, as `span` says it; empty if it never was."""
    return "" if moment is None else span((now - moment).total_seconds())


def clock(moment: datetime | None, now: datetime | None = None) -> str:
    """A moment in the reader's own zone: the time alone if it was today, else with its day, else with its year."""
    if moment is None:
        return ""
    local, today = moment.astimezone(), (now or datetime.now(UTC)).astimezone()
    if local.date() == today.date():
        return f"{local:%H:%M:%S}"
    return f"{local:%d %b %H:%M}" if local.year == today.year else f"{local:%Y-%m-%d}"


def number(count: float) -> str:
    """A count that takes at most six cells: `999`, `12,345`, `1.2M`."""
    if count < 100_000:
        return f"{count:,.0f}"
    return f"{count / 1000:,.0f}k" if count < 1_000_000 else f"{count / 1e6:,.1f}M"
