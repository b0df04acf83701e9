"""Jobs one after the other, for scripts: all of a filter from the newest down, and what changes from now on."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from jobnb.db.queries import stream, walk, window
from jobnb.errors import JobnbError
from monitor.model import ACTIVE_STATES, EVERYTHING
from monitor.places import BOTTOM

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from jobnb.db.queries.stream import Standing
    from monitor.link import Link
    from monitor.model import Filter, JobRow, Mark

PAGE = 500
CHUNK = 5_000
LATE = timedelta(seconds=10)
"""How long after its time a row may become visible and still be told."""
HOLD = timedelta(seconds=60)
"""How long after the database was away kernels may take to bring what they kept meanwhile."""
CHANGES = 100_000
_NEVER = datetime.min.replace(tzinfo=UTC)


def newest_first(link: Link, wanted: Filter) -> Iterator[list[JobRow]]:
    """The wanted jobs in pages, newest first; those created meanwhile are left out. Ends, but may be long."""
    at: Mark | None = None
    while True:
        if wanted.is_indexed:
            rows = link.run(window.read_page, wanted, PAGE, at, 1 if at else 0).rows
            yield rows
            if len(rows) < PAGE:
                return
            at = rows[-1].mark
        else:
            step = link.run(walk.search, wanted, at, CHUNK)
            for begin in range(0, len(step.marks), PAGE):
                ids = [mark.job_id for _, mark in step.marks[begin : begin + PAGE]]
                found = link.run(window.read_rows, ids)
                yield [found[job_id] for job_id in ids if job_id in found]
            if step.complete:
                return
            at = step.last


class _Look(NamedTuple):
    """One look at the database.

    Attributes:
        at: the server's time.
        top: the newest job's place.
    """

    at: datetime
    top: Mark


class Changes:
    """What changes in a filter from now on: a job appears in it, starts, ends, is asked to stop, is tried again.

    Each look compares how jobs stand with how they stood. No cursor: a row may become visible after its time. The end
    of a job that was seen unfinished is told however late it comes; what happens between two looks is one change.

    Args:
        link: to the database.
        wanted: which jobs.
    """

    def __init__(self, link: Link, wanted: Filter) -> None:
        self._link, self._wanted = link, wanted
        self._known: dict[UUID, Standing] = {}
        self._looks: deque[_Look] = deque()
        self._held_until: datetime | None = None
        self.look()

    def look(self) -> list[JobRow]:
        """The jobs that have changed since the last look, the oldest first.

        Raises:
            JobnbError: not now; the next look tells what this one would have.
        """
        try:
            now = self._note_top()
            before = self._looks[0] if self._looks else now
            found = self._link.run(stream.read_standings, self._wanted, before.top, before.at - LATE, CHANGES)
            standings = {one.job_id: one for one in found}
            rows = self._changed(standings) if self._looks else []
        except JobnbError:
            self._held_until = self._link.now() + HOLD
            raise
        self._remember(now, standings)
        return sorted(rows, key=lambda row: (row.created_at or _NEVER, row.job_id))

    def _note_top(self) -> _Look:
        page = self._link.run(window.read_page, EVERYTHING, 1)
        self._link.set_clock(page.as_of)
        return _Look(page.as_of, page.rows[0].mark if page.rows else BOTTOM)

    def _changed(self, standings: dict[UUID, Standing]) -> list[JobRow]:
        """Read the jobs that stand otherwise than before, and those that were unfinished and now are out of sight."""
        changed = [job_id for job_id, one in standings.items() if self._known.get(job_id) != one]
        out_of_sight = [
            job_id for job_id, one in self._known.items() if job_id not in standings and one.state in ACTIVE_STATES
        ]
        rows: dict[UUID, JobRow] = {}
        for ids in (changed, out_of_sight):
            for begin in range(0, len(ids), PAGE):
                rows |= self._link.run(window.read_rows, ids[begin : begin + PAGE])
        return [row for row in rows.values() if row.job_id in standings or not row.is_active]

    def _remember(self, now: _Look, standings: dict[UUID, Standing]) -> None:
        self._known = standings
        self._looks.append(now)
        if self._held_until is not None and now.at < self._held_until:
            return
        while len(self._looks) > 1 and self._looks[1].at <= now.at - LATE:
            self._looks.popleft()
