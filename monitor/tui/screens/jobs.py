"""The list of jobs, and beside it, where there is room, everything about one of them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.containers import Horizontal, Vertical

from jobnb.errors import InvalidInput, JobnbError
from monitor import filters
from monitor.model import NEWEST, SORT_KEYS, Sort, Target
from monitor.tui.keymap import JOB, JOBS, bindings
from monitor.tui.listing import Listing
from monitor.tui.messages import WindowRead
from monitor.tui.screens.detail import DetailScreen, JobDetail
from monitor.tui.screens.marking import Marking
from monitor.tui.widgets.filter_bar import FilterBar
from monitor.tui.widgets.job_table import JobTable, TableHead
from monitor.tui.widgets.list_status import EMPTY_FILTERED, EMPTY_TABLE, EMPTY_WAITING, list_status

if TYPE_CHECKING:
    from datetime import datetime

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from monitor.model import Detail, JobRow, Mark, Spot

WIDE = 140
"""Cells from which on the details have room beside the table."""
BUSY = 2.0
"""Seconds after a change during which the list is read often."""
_DOWNWARDS = ("created", "finished", "took", "waited", "progress")
_COLUMN_OF = {"created": "age"}


class JobsScreen(Marking):
    """The page that one sees first."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(JOBS), *bindings(JOB)]

    def __init__(self) -> None:
        super().__init__()
        self.changed_at = 0.0
        self._head = TableHead(self.table)

    def compose_body(self) -> ComposeResult:
        """The filter, the table, the details."""
        self.bar, self.pane = FilterBar(self.source), JobDetail(self.source, id="pane")
        self.pane.display = False
        yield self.bar
        with Horizontal(id="body"):
            with Vertical(id="list"):
                yield self._head
                yield self.table
            yield self.pane

    def on_mount(self) -> None:
        """Begin to read."""
        self.listing = Listing(self.table, self.source, self.post_message, self._pause)
        self.table.show_sort("age", "▾")
        self.table.focus()
        if text := self.monitor.options.filter_text:
            self.filter_by(text)
        self.listing.start()

    def on_unmount(self) -> None:
        """Read no more."""
        self.listing.stop()

    def on_screen_resume(self) -> None:
        """Read on."""
        self.look()

    def look(self) -> None:
        """Read at once."""
        self.listing.want()
        self.pane.feed.look()

    @property
    def current_job(self) -> JobRow | None:
        """The job under the cursor."""
        return self.table.current

    @property
    def current_detail(self) -> Detail | None:
        """Everything about it, if the pane shows it."""
        detail, job = self.pane.detail, self.current_job
        return detail if detail is not None and job is not None and detail.row.job_id == job.job_id else None

    # reading

    def _pause(self) -> float | None:
        if self.monitor.page is not self:
            return None
        return self.monitor.pace.seconds(busy=time.monotonic() - self.changed_at < BUSY)

    @on(WindowRead)
    def _window_read(self, event: WindowRead) -> None:
        event.stop()
        if self.listing.apply(event.wish, event.window):
            self.changed_at = time.monotonic()
        self.monitor.read_well()
        self.show_status()
        self._show_in_pane()

    def tick(self, now: datetime) -> None:
        """Let time pass in the table and in the details."""
        self.table.tick(now)
        if self.pane.display:
            self.pane.tick(now)

    def filter_target(self) -> Target:
        """Everything that the filter lets through."""
        return Target(filter=self.listing.view.filter)

    def show_status(self) -> None:
        """Say what the list shows."""
        table, listing = self.table, self.listing
        table.empty = (
            EMPTY_WAITING if not listing.read_once else EMPTY_TABLE if listing.is_everything else EMPTY_FILTERED
        )
        width = self.bar.size.width
        marked = -1 if self.all_marked else len(table.marked)
        self.bar.set_status(list_status(listing, width, marked, self.monitor.overview))

    @on(JobTable.Wanted)
    def _wanted(self) -> None:
        self.listing.scrolled()
        self.show_status()

    @on(JobTable.TopWanted)
    def _top_wanted(self) -> None:
        self.listing.follow()
        self.show_status()

    @on(JobTable.Replaced)
    def _replaced(self) -> None:
        self._head.refresh()

    @on(JobTable.Moved)
    def _moved(self) -> None:
        if self.listing.read_once and not self.table.at_top:
            self.listing.park()
        self.show_status()
        self._show_in_pane()

    # the filter

    def action_filter(self) -> None:
        """Type a filter."""
        self.bar.edit()

    def filter_by(self, text: str) -> bool:
        """Show the jobs that a filter's text describes; False, and a word about it, if it can't be read."""
        try:
            wanted = filters.parse(text)
        except InvalidInput as error:
            self.bar.set_error(str(error))
            return False
        self.bar.set_error("")
        self.bar.set_text(text)
        self.all_marked = False
        self.listing.show(wanted=wanted)
        self.changed_at = time.monotonic()
        self.show_status()
        return True

    @on(FilterBar.Typed)
    def _typed(self, event: FilterBar.Typed) -> None:
        event.stop()
        self.filter_by(event.text)

    @on(FilterBar.Left)
    def _left(self, event: FilterBar.Left) -> None:
        event.stop()
        if self.filter_by(event.text):
            self.table.focus()
        else:
            self.bar.edit(again=True)

    def action_state(self, state: str) -> None:
        """Show one state only; the same key again shows all."""
        shown = filters.get_key(self.bar.text, "state")
        self.filter_by(filters.set_key(self.bar.text, "state", state if state and state != shown else None))

    # the order

    def action_sort(self) -> None:
        """Sort by the next column."""
        keys = list(SORT_KEYS)
        self._sort_by(keys[(keys.index(self.listing.view.sort.key) + 1) % len(keys)])

    def action_reverse(self) -> None:
        """Turn the order round."""
        sort = self.listing.view.sort
        self._sort(sort._replace(descending=not sort.descending))

    @on(TableHead.Clicked)
    def _head_clicked(self, event: TableHead.Clicked) -> None:
        event.stop()
        key = "created" if event.column == "age" else event.column
        if key == self.listing.view.sort.key:
            self.action_reverse()
        elif key in SORT_KEYS:
            self._sort_by(key)

    def _sort_by(self, key: str) -> None:
        self._sort(Sort(key, descending=key in _DOWNWARDS))

    def _sort(self, sort: Sort) -> None:
        self.listing.show(sort=sort)
        self.table.show_sort(_COLUMN_OF.get(sort.key, sort.key), "▾" if sort.descending else "▴")
        self.show_status()

    def action_follow(self) -> None:
        """Show new jobs as they come, or hold still."""
        if self.listing.view.sort != NEWEST:
            self._sort(NEWEST)
        if self.listing.view.is_following and self.table.at_top:
            self.listing.park()
        else:
            self.listing.follow()
        self.show_status()

    # failures

    def action_next_failure(self, by: int) -> None:
        """Go to the next failed job below, or above."""
        job = self.current_job
        self._find_failure(None if job is None else job.mark, older=by > 0)

    @work(thread=True, exclusive=True, group="find", exit_on_error=False)
    def _find_failure(self, start: Mark | None, *, older: bool) -> None:
        view = self.listing.view if self.listing.head is None else self.listing.view.parked(self.listing.head)
        try:
            spot = self.source.next_failure(view, start, older=older)
        except JobnbError as error:
            self.app.call_from_thread(self.monitor.say_error, error)
            return
        self.app.call_from_thread(self._found_failure, spot, older)

    def _found_failure(self, spot: Spot | None, older: bool) -> None:
        if spot is None:
            self.monitor.say(f"no failed job further {'down' if older else 'up'}")
        else:
            self.listing.go_to(spot)

    def action_leave(self) -> None:
        """Leave, one thing at a time: the text of the details, a search, the marks, the details, the filter."""
        if self.pane.display and self.pane.text.has_focus:
            self.table.focus()
        elif self.listing.is_searching:
            self.listing.stop_search()
            self.show_status()
        elif self.has_marks:
            self.unmark()
        elif self.pane.display:
            self._close_pane()
        elif self.bar.text:
            self.filter_by("")

    # details

    @on(JobTable.Opened)
    def _opened(self) -> None:
        if self.size.width < WIDE:
            self._open_page()
        elif not self.pane.display:
            self.pane.display = True
            self._show_in_pane()
        else:
            self.pane.text.focus()

    def _open_page(self, tab: str = "") -> None:
        if (job := self.current_job) is not None:
            _ = self.app.push_screen(DetailScreen(job, tab))

    def _show_in_pane(self) -> None:
        if self.pane.display:
            self.pane.show_job(self.current_job)

    def _close_pane(self) -> None:
        self.pane.display = False
        self.pane.rest()
        self.table.focus()

    def action_show(self, tab: str) -> None:
        """Show a text of the job under the cursor."""
        if self.size.width < WIDE:
            self._open_page(tab)
            return
        self.pane.display = True
        self.pane.show_tab(tab)
        self._show_in_pane()

    def action_next_tab(self, by: int) -> None:
        """Show the next text of the details."""
        if self.pane.display:
            self.pane.next_tab(by)
        elif (job := self.current_job) is not None:
            del job
            self._opened()

    def on_resize(self) -> None:
        """Without room beside the table the details are a page of their own."""
        if self.pane.display and self.size.width < WIDE:
            self._close_pane()
