"""`OrderedList`: the newest 10,000 jobs of a filter in another order than that of creation."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from jobnb.db.queries import walk
from monitor.kept import KEPT, KeptList
from monitor.model import Count, Survey, Window
from monitor.pace import Pace
from monitor.places import locate_place, nearest_failure, read_places

if TYPE_CHECKING:
    from uuid import UUID

    from monitor.link import Link
    from monitor.model import Filter, Mark, Sort, Spot, View


class OrderedList:
    """Jobs in an order that no index gives: sorted by the server now and then, read by their ids in between.

    Safe to use from several threads.

    Args:
        link: to the database.
        wanted: which jobs.
        sort: their order.
    """

    def __init__(self, link: Link, wanted: Filter, sort: Sort) -> None:
        self._link, self._wanted, self._sort = link, wanted, sort
        self._found = None if wanted.is_indexed else KeptList(link, wanted)
        self._marks: list[Mark] | None = None
        self._sorting = threading.Lock()
        self._pace = Pace(0.03, 2.0)

    def window(self, view: View, first: int, count: int, anchor: Mark | None) -> Window:
        """See `Source.window`."""
        del view, anchor  # lines of another order stay where they are by themselves
        began = time.monotonic()
        self._put_in_order()
        marks = self._marks or []
        at = max(0, min(first, len(marks) - count))
        rows, gone, as_of = read_places(self._link, self._wanted, marks[at:], count)
        if gone:
            self._marks = [mark for mark in marks if mark not in gone]
        return Window(
            rows=tuple(rows),
            first=at,
            total=self._total(),
            newer=Count(0),
            head=None,
            as_of=as_of,
            search=self._found.search if self._found else None,
            note=f"sorted: newest {KEPT:,}" if len(marks) >= KEPT else "",
            seconds=time.monotonic() - began,
        )

    def survey(self) -> Survey:
        """See `Source.survey`."""
        search = self._found.survey() if self._found else None
        if search is None or search.complete:
            self._put_in_order()
        return Survey(search is None or search.complete, self._total(), search.search if search else None)

    def locate(self, view: View, job_id: UUID) -> Spot | None:
        """See `Source.locate`."""
        del view
        return locate_place(self._link, self._marks or [], job_id)

    def next_failure(self, view: View, start: Mark | None, *, older: bool) -> Spot | None:
        """See `Source.next_failure`."""
        del view
        marks = self._marks or []
        return nearest_failure(self._link, marks, marks.index(start) if start in marks else None, older=older)

    def _total(self) -> Count:
        shown = len(self._marks or [])
        return Count(shown, exact=shown < KEPT and (self._found is None or self._found.search.complete))

    def _put_in_order(self) -> None:
        if not self._pace.is_due or not self._sorting.acquire(blocking=self._marks is None):
            return
        try:
            if self._pace.is_due:
                with self._pace.timed():
                    self._marks = self._sorted()
        finally:
            self._sorting.release()

    def _sorted(self) -> list[Mark]:
        among = None
        if self._found is not None:
            self._found.notice_changes()
            among = [mark.job_id for mark in self._found.marks]
        key, descending = self._sort
        return self._link.run(walk.sort, self._wanted, among, key, KEPT, descending=descending)
