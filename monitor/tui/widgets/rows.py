"""The rows of a long table that are known, by line; everything else is only counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

Row = TypeVar("Row")

KEPT = 4000
"""Rows that are kept at most; those far from the screen are forgotten first."""


class Rows(Generic[Row]):
    """Some rows of a table of `total` lines, line 0 on top.

    Rows are kept by their distance from a fixed row, so that lines that come in on top renumber nothing.
    """

    def __init__(self, key: Callable[[Row], Hashable]) -> None:
        self.key = key
        self.total = 0
        self._rows: dict[int, Row] = {}
        self._pushed = 0

    def __getitem__(self, line: int) -> Row | None:
        return self._rows.get(line - self._pushed)

    def place(self, line: int) -> int:
        """A number for what is on this line that stays the same when lines come in above."""
        return line - self._pushed

    def line(self, place: int) -> int:
        """The line that a place is on now."""
        return place + self._pushed

    def put(self, first: int, rows: Sequence[Row]) -> None:
        """Write rows over the lines from `first` on."""
        start = first - self._pushed
        self._rows.update(zip(range(start, start + len(rows)), rows, strict=True))
        self.total = max(self.total, first + len(rows))

    def push_down(self, count: int) -> None:
        """Make room for `count` new lines on top."""
        self._pushed += count
        self.total += count

    def cut(self, total: int) -> None:
        """Say how many lines there are; rows beyond are forgotten."""
        if total < self.total:
            end = total - self._pushed
            self._rows = {place: row for place, row in self._rows.items() if place < end}
        self.total = total

    def forget(self) -> None:
        """Forget every row, but not how many there are."""
        self._rows.clear()

    def clear(self) -> None:
        """Forget every row, and how many there are."""
        self._rows.clear()
        self.total = 0

    def missing(self, first: int, count: int) -> tuple[int, int] | None:
        """The lines of a stretch that are not known, as (first, count) of the smallest stretch with all of them."""
        begin, end = max(0, first), min(self.total, first + count)
        unknown = [line for line in range(begin, end) if line - self._pushed not in self._rows]
        return (unknown[0], unknown[-1] + 1 - unknown[0]) if unknown else None

    def find(self, key: Hashable, first: int, count: int) -> int | None:
        """The line in a stretch whose row has that key."""
        for line in range(first, first + count):
            row = self._rows.get(line - self._pushed)
            if row is not None and self.key(row) == key:
                return line
        return None

    def forget_far(self, line: int) -> None:
        """Keep only rows near `line`, if there are too many."""
        if len(self._rows) > KEPT:
            near = range(line - self._pushed - KEPT // 4, line - self._pushed + KEPT // 4)
            self._rows = {place: row for place, row in self._rows.items() if place in near}
