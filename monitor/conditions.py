"""Conditions on numbers of jobs, for exit codes: `failed>0`, `lost>=1,queued>99`, `failed>5%`, `oldest_queued>10m`."""

from __future__ import annotations

import operator
import re
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from jobnb.errors import InvalidInput
from monitor.filter_words import nearest, read_seconds

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

_FAILURES = ("failed", "cancelled", "timeout", "lost")
_SUMS: dict[str, tuple[str, ...]] = {
    "queued": ("scheduled",),
    "running": ("in_progress",),
    "active": ("scheduled", "in_progress"),
    "done": ("done",),
    "failed": ("failed",),
    "cancelled": ("cancelled",),
    "timeout": ("timeout",),
    "lost": ("lost",),
    "failures": _FAILURES,
    "ended": ("done", *_FAILURES),
    "total": ("scheduled", "in_progress", "done", *_FAILURES),
}
NAMES = (*_SUMS, "oldest_queued")
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le, "=": operator.eq, "==": operator.eq,
    "!=": operator.ne,
}  # fmt: skip
_CONDITION = re.compile(r"\s*([a-z_]+)\s*(>=|<=|==|!=|>|<|=)\s*([^\s%]+)\s*(%?)\s*")


class Numbers(NamedTuple):
    """What a condition is about.

    Attributes:
        counts: how many jobs are in each state.
        oldest_queued: when the job was created that waits longest; None if none waits.
        as_of: the server's time.
    """

    counts: dict[str, int]
    oldest_queued: datetime | None
    as_of: datetime

    def value(self, name: str) -> float:
        """One number by its name: of jobs, or seconds."""
        if name == "oldest_queued":
            waits = timedelta(0) if self.oldest_queued is None else self.as_of - self.oldest_queued
            return max(0.0, waits.total_seconds())
        return sum(self.counts.get(state, 0) for state in _SUMS[name])


class Condition(NamedTuple):
    """One comparison.

    Attributes:
        text: as it was written.
        name: which number.
        comparison: how to compare.
        limit: with what: a number of jobs, seconds, or percent of the jobs that have ended.
        is_share: True for percent.
    """

    text: str
    name: str
    comparison: str
    limit: float
    is_share: bool

    def holds(self, numbers: Numbers) -> bool:
        """True if it is met; a share of nothing is 0."""
        return _COMPARISONS[self.comparison](self.value(numbers), self.limit)

    def value(self, numbers: Numbers) -> float:
        """What is compared."""
        value = numbers.value(self.name)
        return 100 * value / max(1.0, numbers.value("ended")) if self.is_share else value


def parse_conditions(text: str) -> tuple[Condition, ...]:
    """Read conditions with commas between; any of them is enough.

    Raises:
        InvalidInput: an unknown name, or no comparison with a number.
    """
    return tuple(_parse(one) for one in text.split(",") if one.strip())


def _parse(text: str) -> Condition:
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise InvalidInput(f"{text!r} is no condition: write failed>0, failed>5% or oldest_queued>10m")
    name, comparison, limit, percent = match.groups()
    if name not in NAMES:
        raise InvalidInput(f"no number {name!r}{nearest(name, NAMES)}")
    if name == "oldest_queued":
        return Condition(text.strip(), name, comparison, read_seconds(limit), is_share=False)
    try:
        return Condition(text.strip(), name, comparison, float(limit), is_share=bool(percent))
    except ValueError:
        raise InvalidInput(f"{limit!r} in {text!r} is no number") from None
