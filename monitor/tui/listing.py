"""Which list of jobs is on screen, and how what was read of it gets into the table.

A list that follows shows the newest jobs as they come. It is parked as soon as the reader leaves its top: then
nothing moves, what comes is counted, and the line on top of the screen is read by its place in the order of jobs, so
that it stays where it is whatever happens above it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.model import EVERYTHING, NEWEST, Count, View
from monitor.tui.feed import Feed, WindowWish
from monitor.tui.messages import WindowRead

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from textual.message import Message

    from monitor.model import Filter, JobRow, Mark, Search, Sort, Spot, Window
    from monitor.source import Source
    from monitor.tui.widgets.job_table import JobTable


BREATH, AGAIN = 0.02, 10.0
"""Seconds between two steps of a survey, and before a complete one is looked at again."""


class Listing:
    """The list; lives in the program's own thread, only `_read` runs in the feed's."""

    def __init__(
        self,
        table: JobTable,
        source: Source,
        post: Callable[[Message], object],
        pause: Callable[[], float | None],
    ) -> None:
        self.table = table
        self.source = source
        self.view = View()
        self.head: Mark | None = None
        self.total = Count(0, exact=False)
        self.newer = Count(0)
        self.search: Search | None = None
        self.note = ""
        self.read_once = False
        self.search_stopped = False
        self._shown = View()
        self._surveyed = False
        self.feed: Feed[WindowWish] = Feed("jobs", self._read, post, pause)
        self.surveyor: Feed[View] = Feed("survey", self._survey, post, lambda: AGAIN if self._surveyed else BREATH)

    def start(self) -> None:
        """Begin to read."""
        self.feed.start()
        self.surveyor.start()
        self.want()

    def stop(self) -> None:
        """Read no more."""
        self.feed.stop()
        self.surveyor.stop()

    def _read(self, wish: WindowWish) -> Message:
        return WindowRead(wish, self.source.window(wish.view, wish.first, wish.lines, wish.anchor))

    def _survey(self, view: View) -> None:
        self._surveyed = True  # should it fail, it waits
        self._surveyed = self.source.survey(view).complete

    # which list

    def show(self, wanted: Filter | None = None, sort: Sort | None = None) -> None:
        """Show another list, from its top, following."""
        view = View(self.view.filter if wanted is None else wanted, self.view.sort if sort is None else sort)
        if view == self.view:
            return
        self.view, self.head, self.search, self.note = view, None, None, ""
        self.read_once = self.search_stopped = False
        self.surveyor.want(None)
        self.want()

    def follow(self) -> None:
        """Go to the top, and show what comes."""
        if self.view.head is not None:
            self.view = self.view.following()
            self.newer = Count(0)
        self.table.move_to(0)
        self.want()

    def park(self) -> None:
        """Let nothing move from now on."""
        if self.view.is_following and self.head is not None:
            self.view = self.view.parked(self.head)
            self.want(now=False)

    @property
    def is_sorted(self) -> bool:
        """True if the list is in another order than that of time; such a list has no top to follow."""
        return self.view.sort != NEWEST

    @property
    def is_everything(self) -> bool:
        """True if no filter is set."""
        return self.view.filter == EVERYTHING

    # reading

    def rest(self) -> None:
        """Read nothing."""
        self.feed.want(None)
        self.surveyor.want(None)

    def want(self, *, now: bool = True) -> None:
        """Ask for what is on screen."""
        self.feed.want(self._wish(), now=now)
        if self.read_once and self.surveyor.wish != self.view and not self.search_stopped:
            self.surveyor.want(self.view)

    @property
    def is_searching(self) -> bool:
        """True while jobs are looked for that no index finds."""
        return self.search is not None and not self.search.complete and not self.search_stopped

    def stop_search(self) -> None:
        """Be content with what was found."""
        self.search_stopped = True
        self.surveyor.want(None)

    def scrolled(self) -> None:
        """Other lines are on screen: park if the top was left, and ask for what is missing."""
        if self.read_once and not self.table.at_top:
            self.park()
        first, height = self.table.first, self.table.height
        missing = self.table.rows.missing(first - height, 3 * height)
        self.want(now=missing is not None)

    def _wish(self) -> WindowWish:
        table, rows = self.table, self.table.rows
        first, height = table.first, table.height
        if self.view != self._shown and not self._same_lines():
            return WindowWish(self.view, 0, height, None)
        missing = rows.missing(first, height) or rows.missing(first - height, 3 * height)
        if missing is not None:
            return WindowWish(self.view, *missing, None)
        top = rows[first]
        apart = first > 0 and first + height < rows.total
        anchored = apart and top is not None and not self.is_sorted
        return WindowWish(self.view, first, height, top.mark if anchored and top is not None else None)

    def _same_lines(self) -> bool:
        """True if the table shows this list, be it parked or not."""
        return self.view.filter == self._shown.filter and self.view.sort == self._shown.sort

    def apply(self, wish: WindowWish, window: Window) -> int:
        """Put what was read into the table; returns how many lines were painted anew."""
        if wish.view != self.view:
            return 0
        if not self.read_once:
            self.table.now = window.as_of
        if not self.read_once and not self._same_lines():
            self.table.clear()
        elif self.view.is_following and not self.is_sorted and window.first == 0:
            self._shift(window.rows)
        self._shown, self.read_once = self.view, True
        if self.view.is_following and window.head is not None:  # only the lines on top tell it
            self.head = window.head
        self.total, self.newer, self.search, self.note = window.total, window.newer, window.search, window.note
        return self._fill(wish, window)

    def _fill(self, wish: WindowWish, window: Window) -> int:
        table = self.table
        end = window.first + len(window.rows)
        total = max(window.total.value, end)
        if len(window.rows) < wish.lines and (window.rows or not window.first):
            total = end
        if window.first != wish.first:  # the list ends before what was asked for
            table.forget()
            total = end
        table.set_total(total)
        painted = table.put(window.first, window.rows)
        table.rows.forget_far(table.first)
        if table.rows.missing(table.first - table.height, 3 * table.height) is not None and window.rows:
            self.want()
        else:
            self.want(now=False)
        return painted

    def _shift(self, rows: Sequence[JobRow]) -> None:
        """Move the known lines down by as many as came in on top."""
        top = self.table.rows[0]
        if top is None or not rows or rows[0].job_id == top.job_id:
            return
        came = next((line for line, row in enumerate(rows) if row.job_id == top.job_id), None)
        if came is None:
            self.table.forget()
        else:
            self.table.push_down(came)

    def go_to(self, spot: Spot) -> None:
        """Put the cursor on a job that was found."""
        self.park()
        self.table.put(spot.line, (spot.row,))
        self.table.move_to(spot.line)
