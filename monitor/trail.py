"""`Trail`: some places of a list with their lines, so that any other line is near one of them."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from monitor.places import position

if TYPE_CHECKING:
    from monitor.model import Mark


class Trail:
    """The places that a walk noted on its way down from an origin, which is line 0.

    Args:
        origin: the topmost place; None for an empty list.
    """

    def __init__(self, origin: Mark | None) -> None:
        self.origin = origin
        self.last = origin
        self.total = 0 if origin is None else 1
        self.is_complete = origin is None
        self._lines: list[int] = [] if origin is None else [0]
        self._marks: list[Mark] = [] if origin is None else [origin]

    def add(self, passed: int, marks: list[tuple[int, Mark]], last: Mark | None, *, complete: bool) -> None:
        """Append a step of the walk: how many lines it passed, and places with their numbers within it."""
        for n, mark in marks:
            self._lines.append(self.total + n - 1)
            self._marks.append(mark)
        self.total += passed
        self.last = last or self.last
        self.is_complete = complete

    def near_line(self, line: int) -> tuple[int, Mark] | None:
        """The nearest known line at or above a line."""
        at = bisect_right(self._lines, line) - 1
        return (self._lines[at], self._marks[at]) if at >= 0 else None

    def near_mark(self, mark: Mark) -> tuple[int, Mark] | None:
        """The nearest known line at or above a place."""
        at = position(self._marks, mark, below=True) - 1
        return (self._lines[at], self._marks[at]) if at >= 0 else None

    def reaches(self, line: int) -> bool:
        """True if the walk has passed a line, or the end."""
        return self.is_complete or line < self.total
