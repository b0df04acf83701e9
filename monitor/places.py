"""Places of jobs in lists that are held in memory: how they are ordered, found and read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from jobnb.db.queries import window
from monitor.model import Mark, Spot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.link import Link
    from monitor.model import Filter, JobRow

BOTTOM = Mark(None, UUID(int=0))
"""The place below all jobs."""
_AT_ONCE = 500


def rank(mark: Mark) -> tuple[Any, ...]:
    """A key by which marks sort as the server sorts them, the oldest first."""
    created = mark.created
    if created is None or not created[0].isdigit():
        return ({None: 0, "-infinity": 1}.get(created, 4), 0, "", mark.job_id)
    return (2 if created.endswith("BC") else 3, created.index("-"), created, mark.job_id)


def position(marks: Sequence[Mark], mark: Mark, *, below: bool = False) -> int:
    """Where a place is, or would be, among places that are sorted newest first; with `below`, the next one."""
    wanted = rank(mark)
    low, high = 0, len(marks)
    while low < high:
        middle = (low + high) // 2
        here = rank(marks[middle])
        if here > wanted or (below and here == wanted):
            low = middle + 1
        else:
            high = middle
    return low


def moment(mark: Mark | None) -> datetime | None:
    """When the job at a place was created; None where Python has no such time."""
    if mark is None or mark.created is None:
        return None
    try:
        return datetime.fromisoformat(mark.created).replace(tzinfo=UTC)
    except ValueError:
        return None


def read_places(
    link: Link, wanted: Filter, marks: Sequence[Mark], count: int
) -> tuple[list[JobRow], set[Mark], datetime]:
    """Read up to `count` jobs at some places, in their order.

    Returns:
        The jobs; the places whose jobs are gone or not wanted any more; the server's time.
    """
    rows: list[JobRow] = []
    gone: set[Mark] = set()
    as_of, at = link.now(), 0
    while len(rows) < count and at < len(marks):
        some = marks[at : at + count - len(rows)]
        at += len(some)
        found, as_of = link.run(window.read_fitting, wanted, [mark.job_id for mark in some])
        link.set_clock(as_of)
        rows += [found[mark.job_id] for mark in some if mark.job_id in found]
        gone |= {mark for mark in some if mark.job_id not in found}
    return rows, gone, as_of


def locate_place(link: Link, marks: Sequence[Mark], job_id: UUID) -> Spot | None:
    """Find a job among places; None if it is not there, or was deleted."""
    line = next((line for line, mark in enumerate(marks) if mark.job_id == job_id), None)
    if line is None:
        return None
    row = link.run(window.read_rows, [job_id]).get(job_id)
    return None if row is None else Spot(line, row)


def nearest_failure(link: Link, marks: Sequence[Mark], line: int | None, *, older: bool) -> Spot | None:
    """Find the nearest failed job below (`older`) or above a line; None for the top, or the bottom."""
    if older:
        lines = range(-1 if line is None else line, len(marks))[1:]
    else:
        lines = range(len(marks) if line is None else line)[::-1]
    for begin in range(0, len(lines), _AT_ONCE):
        some = lines[begin : begin + _AT_ONCE]
        rows = link.run(window.read_rows, [marks[at].job_id for at in some])
        for at in some:
            row = rows.get(marks[at].job_id)
            if row is not None and row.is_failure:
                return Spot(at, row)
    return None
