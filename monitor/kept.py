"""`KeptList`: a list whose places are kept in memory, for what no index gives: searches, and rare jobs."""

from __future__ import annotations

import threading
import time
from collections import deque
from datetime import timedelta
from typing import TYPE_CHECKING

from jobnb.db.queries import walk, window
from monitor.model import EVERYTHING, Count, Filter, Search, Survey, Window
from monitor.pace import Pace
from monitor.places import BOTTOM, locate_place, moment, nearest_failure, position, read_places

if TYPE_CHECKING:
    from uuid import UUID

    from monitor.link import Link
    from monitor.model import Mark, Spot, View

KEPT = 10_000
"""How many places are kept; those of the newest jobs."""
NEWER_LIMIT = 1_000
LATE_SECONDS = 10.0
"""How long after its time a row may become visible and still be noticed at once; the next search finds later ones."""
_STEP_SECONDS = 0.04


class KeptList:
    """The places of the newest 10,000 jobs of one filter, newest first.

    They are searched for in steps, from the newest job down. What comes to fit later is found among the jobs that are
    new, unfinished, or have just ended; what no longer fits is noticed when it is to be shown, and by the next search.
    Safe to use from several threads.

    Args:
        link: to the database.
        wanted: which jobs.
    """

    def __init__(self, link: Link, wanted: Filter) -> None:
        self._link, self._wanted = link, wanted
        self._lock, self.searching, self._noticing = threading.Lock(), threading.Lock(), threading.Lock()
        self._marks: list[Mark] = []
        self._known: set[Mark] = set()
        self._tops: deque[tuple[float, Mark]] = deque()
        self.search = Search(None, 0.0, complete=False, found=0)
        """How far the search has come."""
        self._at: Mark | None = None
        self._looked_at = self._found = 0
        self._chunk = 5_000
        self._candidates = max(1, link.run(window.estimate, Filter(wanted.narrow)))
        self._again = Pace(0.02, 30.0)
        self._spent = 0.0
        self._new, self._changed = Pace(0.03, 0.1), Pace(0.02, 1.0)

    @property
    def marks(self) -> list[Mark]:
        """All places, newest first."""
        with self._lock:
            return list(self._marks)

    def window(self, view: View, first: int, count: int, anchor: Mark | None) -> Window:
        """See `Source.window`."""
        began = time.monotonic()
        if not self._tops:
            self.survey()
        self.notice_changes()
        marks = self._shown(view)
        at = position(marks, anchor) if anchor is not None else max(0, min(first, len(marks) - count))
        rows, gone, as_of = read_places(self._link, self._wanted, marks[at:], count)
        self.forget(gone)
        newer = min(len(self._marks) - len(marks), NEWER_LIMIT) if view.head else 0
        return Window(
            rows=tuple(rows),
            first=at if anchor is None else first,
            total=self.total(len(marks)),
            newer=Count(newer, exact=newer < NEWER_LIMIT),
            head=view.head or (marks[0] if marks else None),
            as_of=as_of,
            search=self.search,
            note=f"the newest {KEPT:,} that fit" if len(marks) >= KEPT else "",
            seconds=time.monotonic() - began,
        )

    def survey(self) -> Survey:
        """See `Source.survey`."""
        with self.searching:
            if self.search.complete and self._again.is_due:
                self._at, self._looked_at, self._found, self._spent = None, 0, 0, 0.0
                self.search = Search(None, 0.0, complete=False, found=len(self._marks))
            if not self.search.complete:
                self._step()
        return Survey(self.search.complete, self.total(len(self._marks)), self.search)

    def total(self, shown: int) -> Count:
        """`shown` as a count: exact once all jobs were looked at."""
        return Count(shown, exact=self.search.complete and shown < KEPT)

    def locate(self, view: View, job_id: UUID) -> Spot | None:
        """See `Source.locate`."""
        return locate_place(self._link, self._shown(view), job_id)

    def next_failure(self, view: View, start: Mark | None, *, older: bool) -> Spot | None:
        """See `Source.next_failure`."""
        marks = self._shown(view)
        line = None if start is None else position(marks, start)
        if line is not None and older and (line == len(marks) or marks[line] != start):
            line -= 1  # the place itself is gone: the line found is the one below it
        return nearest_failure(self._link, marks, line, older=older)

    def forget(self, gone: set[Mark]) -> None:
        """Drop places whose jobs are gone, or do not fit any more."""
        if gone:
            with self._lock:
                self._marks = [mark for mark in self._marks if mark not in gone]
                self._known -= gone

    def notice_changes(self) -> None:
        """Look for jobs that have come to fit, as often as it may be."""
        if not self._tops or not self._noticing.acquire(blocking=False):
            return
        try:
            if self._changed.is_due:
                with self._changed.timed(), self._new.timed():
                    self._look_for_changes(everywhere=True)
            elif self._new.is_due:
                with self._new.timed():
                    self._look_for_changes(everywhere=False)
        finally:
            self._noticing.release()

    def _shown(self, view: View) -> list[Mark]:
        marks = self.marks
        return marks if view.head is None else marks[position(marks, view.head) :]

    def _look_for_changes(self, *, everywhere: bool) -> None:
        newer = self._tops[0][1]
        since = self._link.now() - timedelta(seconds=LATE_SECONDS) if everywhere else None
        self._note_top()
        found = self._link.run(walk.changed, self._wanted, newer, since, NEWER_LIMIT, active=everywhere)
        with self._lock:
            for mark in found:
                if mark not in self._known:
                    self._known.add(mark)
                    self._marks.insert(position(self._marks, mark), mark)
            self._cut()

    def _note_top(self) -> None:
        """Note which job is the newest; the oldest note kept is where a row may still appear above."""
        rows = self._link.run(window.read_page, EVERYTHING, 1).rows
        now = time.monotonic()
        self._tops.append((now, rows[0].mark if rows else BOTTOM))
        while len(self._tops) > 1 and self._tops[1][0] < now - LATE_SECONDS:
            self._tops.popleft()

    def _cut(self) -> None:
        self._known.difference_update(self._marks[KEPT:])
        del self._marks[KEPT:]

    def _step(self) -> None:
        began = time.monotonic()
        if not self._tops:
            self._note_top()
        if self._wanted.is_indexed:
            step = self._link.run(walk.walk, self._wanted, self._at, KEPT, 1, few=True)
        else:
            step = self._link.run(walk.search, self._wanted, self._at, self._chunk)
        self._take(step)
        seconds = time.monotonic() - began
        self._spent += seconds
        self._chunk = max(1_000, min(50_000, int(self._chunk * max(0.5, min(2.0, _STEP_SECONDS / seconds)))))
        if self.search.complete:
            self._again.took(self._spent)

    def _take(self, step: walk.Step) -> None:
        """Let what was found take the place of what was kept from the same stretch."""
        found = [mark for _, mark in step.marks]
        self._looked_at += step.passed
        self._found += len(found)
        complete = step.complete or self._found >= KEPT
        with self._lock:
            first = 0 if self._at is None else position(self._marks, self._at, below=True)
            last = len(self._marks) if complete or step.last is None else position(self._marks, step.last, below=True)
            self._marks[first:last] = found
            self._known = set(self._marks)
            self._cut()
        self._at = step.last
        fraction = 1.0 if complete else min(0.99, self._looked_at / max(self._candidates, self._looked_at + 1))
        back_to = moment(step.last) or self.search.back_to
        self.search = Search(back_to, fraction, complete, len(self._marks))
