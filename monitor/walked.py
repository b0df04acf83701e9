"""`WalkedList`: a list in the order of creation that is read a page at a time, whatever its length."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from jobnb.db.queries import places, walk, window
from monitor.model import Count, Spot, Survey, View, Window
from monitor.pace import Pace
from monitor.places import rank
from monitor.trail import Trail

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from jobnb.db.queries.window import Page
    from monitor.link import Link
    from monitor.model import Filter, Mark

FEW = 10_000
"""Up to so many jobs are found and sorted anew for each page; more are read along the index."""
EVERY = 2_000
NEWER_LIMIT = 1_000
_STEP_SECONDS = 0.03
_FRESH_SECONDS = 15.0


class WalkedList:
    """Pages of the jobs of one filter, by place.

    A survey walks down the list once, counts it, and notes a place every 2,000 lines; any line is then a short way
    from a known one. Safe to use from several threads.

    Args:
        link: to the database.
        wanted: which jobs.
    """

    def __init__(self, link: Link, wanted: Filter) -> None:
        self._link, self._wanted = link, wanted
        self._estimate = link.run(window.estimate, wanted)
        self._few = bool(wanted.terms) and self._estimate <= FEW
        self._trail: Trail | None = None
        self._next_trail: Trail | None = None
        self._surveying = threading.Lock()
        self._surveyed_at = 0.0
        self._pace = Pace(0.01, 1.0) if self._few else Pace(0.003, 20.0)
        self._step = EVERY * 10
        self._spent = 0.0
        self._offsets: dict[Mark | None, tuple[int, Trail, Pace]] = {}
        self._newer: tuple[Mark, int, Pace] | None = None
        self.usual_page = 0.0
        """Seconds that the quicker one of the last two pages took."""
        self._last_page = 0.0

    @property
    def length(self) -> int | None:
        """How many jobs there are, once they were counted."""
        return None if self._trail is None else self._trail.total

    def window(self, view: View, first: int, count: int, anchor: Mark | None) -> Window:
        """See `Source.window`."""
        began = time.monotonic()
        if anchor is not None:
            page = self._page(count, anchor, 0)
        else:
            page, first = self._page_at(view, first, count)
        self._note_cost(time.monotonic() - began)
        self._link.set_clock(page.as_of)
        head = view.head or (page.rows[0].mark if page.rows and first == 0 and anchor is None else None)
        end = first + len(page.rows)
        total = Count(end) if first == 0 and anchor is None and len(page.rows) < count else self.total(view)
        if end > total.value:
            total = Count(end, exact=False)
        newer = self._count_newer(view.head)
        return Window(tuple(page.rows), first, total, newer, head, page.as_of, seconds=time.monotonic() - began)

    def survey(self) -> Survey:
        """See `Source.survey`."""
        with self._surveying:
            self._survey_step()
        trail = self._next_trail or self._trail
        assert trail is not None
        return Survey(self._next_trail is None, Count(trail.total, exact=trail.is_complete))

    def total(self, view: View) -> Count:
        """How many jobs the view has."""
        trail = self._trail
        if trail is None:
            return Count(self._estimate, exact=False)
        is_fresh = not self._wanted.terms or time.monotonic() - self._surveyed_at < _FRESH_SECONDS
        return Count(max(0, trail.total + self._offset(view.head, trail)), exact=is_fresh)

    def locate(self, view: View, job_id: UUID) -> Spot | None:
        """See `Source.locate`."""
        found, as_of = self._link.run(window.read_fitting, self._wanted, [job_id])
        self._link.set_clock(as_of)
        row = found.get(job_id)
        if row is None or (view.head is not None and rank(row.mark) > rank(view.head)):
            return None
        trail = self._survey_down_to(row.mark)
        near = trail.near_mark(row.mark)
        offset = self._offset(view.head, trail, exactly=True)
        if near is None:  # newer than the survey
            line = self._link.run(places.count_above, self._wanted, row.mark, 10**9)
            return Spot(line - self._above_head(view.head), row)
        known, mark = near
        between = self._link.run(places.count_between, self._wanted, mark, row.mark, 10**9)
        return Spot(max(0, known + between + offset), row)

    def next_failure(self, view: View, start: Mark | None, *, older: bool) -> Spot | None:
        """See `Source.next_failure`."""
        row = self._link.run(window.next_failure, self._wanted, start, older=older, upper=view.head)
        return None if row is None else self.locate(view, row.job_id)

    # -- pages

    def _page(self, count: int, at: Mark | None, skip: int) -> Page:
        return self._link.run(window.read_page, self._wanted, count, at, skip, few=self._few)

    def _page_at(self, view: View, first: int, count: int) -> tuple[Page, int]:
        if first <= 0:
            return self._page(count, view.head, 0), 0
        trail = self._survey_down_to_line(first, view)
        if trail.is_complete and first >= self.total(view).value:
            return self._last_page_of(view, count)
        line = first - self._offset(view.head, trail, exactly=True)
        near = trail.near_line(line)
        if near is None or first <= line - near[0]:
            page = self._page(count, view.head, first)
        else:
            page = self._page(count, near[1], line - near[0])
        return (page, first) if page.rows else self._last_page_of(view, count)

    def _last_page_of(self, view: View, count: int) -> tuple[Page, int]:
        page = self._link.run(window.read_last_page, self._wanted, count, view.head, few=self._few)
        return page, max(0, self.total(view).value - len(page.rows))

    def _note_cost(self, seconds: float) -> None:
        self.usual_page, self._last_page = min(seconds, self._last_page), seconds

    # -- counting

    def _offset(self, head: Mark | None, trail: Trail, *, exactly: bool = False) -> int:
        """How many lines a view's line 0 is above the trail's; negative if it is below."""
        if trail.origin is None:
            return 0
        known = self._offsets.get(head)
        if known and known[1] is trail and (head is not None or not (exactly or known[2].is_due)):
            return known[0]
        pace = known[2] if known else Pace(0.005, 0.5)
        with pace.timed():
            offset = self._count_offset(head, trail.origin)
        if len(self._offsets) > 100:
            self._offsets.clear()
        self._offsets[head] = (offset, trail, pace)
        return offset

    def _count_offset(self, head: Mark | None, origin: Mark) -> int:
        if head is None:
            return self._link.run(places.count_above, self._wanted, origin, 10**9)
        if rank(head) >= rank(origin):
            return self._link.run(places.count_between, self._wanted, head, origin, 10**9)
        return -self._link.run(places.count_between, self._wanted, origin, head, 10**9)

    def _count_newer(self, head: Mark | None) -> Count:
        if head is None:
            return Count(0)
        known = self._newer if self._newer and self._newer[0] == head else None
        if known is None or known[2].is_due:
            pace = known[2] if known else Pace(0.02, 0.2)
            with pace.timed():
                newer = self._above_head(head, NEWER_LIMIT + 1)
            self._newer = known = (head, newer, pace)
        return Count(min(known[1], NEWER_LIMIT), exact=known[1] <= NEWER_LIMIT)

    def _above_head(self, head: Mark | None, limit: int = 10**9) -> int:
        return 0 if head is None else self._link.run(places.count_above, self._wanted, head, limit)

    # -- the survey

    def _survey_down_to_line(self, line: int, view: View) -> Trail:
        return self._survey_until(lambda trail: trail.reaches(line - self._offset(view.head, trail)))

    def _survey_down_to(self, mark: Mark) -> Trail:
        wanted = rank(mark)
        return self._survey_until(
            lambda trail: trail.is_complete or (trail.last is not None and rank(trail.last) <= wanted)
        )

    def _survey_until(self, reached: Callable[[Trail], bool]) -> Trail:
        while True:
            trail = self._trail or self._next_trail
            if trail is not None and reached(trail):
                return trail
            with self._surveying:
                self._survey_step()

    def _survey_step(self) -> None:
        trail = self._next_trail
        if trail is None:
            if self._trail is not None and not self._pace.is_due:
                return
            trail, self._spent = self._start(), 0.0
        began = time.monotonic()
        if not trail.is_complete:
            limit, few = (FEW * 10, True) if self._few else (self._step, False)
            step = self._link.run(walk.walk, self._wanted, trail.last, limit, EVERY, few=few)
            trail.add(step.passed, step.marks, step.last, complete=step.complete)
            self._few = self._few and trail.total <= 2 * FEW  # the estimate may be from before they came
        self._adapt(time.monotonic() - began)
        if trail.is_complete:
            self._finish(trail)

    def _start(self) -> Trail:
        page = self._page(1, None, 0)
        self._next_trail = Trail(page.rows[0].mark if page.rows else None)
        return self._next_trail

    def _adapt(self, seconds: float) -> None:
        """Make the next step longer or shorter, so that it takes about 30 ms."""
        self._spent += seconds
        if seconds < _STEP_SECONDS / 2:
            self._step = min(self._step * 2, EVERY * 100)
        elif seconds > _STEP_SECONDS * 2:
            self._step = max(self._step // 2 // EVERY * EVERY, EVERY)

    def _finish(self, trail: Trail) -> None:
        self._trail, self._next_trail = trail, None
        self._offsets = {}
        self._surveyed_at = time.monotonic()
        self._few = bool(self._wanted.terms) and trail.total <= 2 * FEW
        self._pace.took(self._spent)
