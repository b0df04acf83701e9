"""What the pages of errors, types and kernels have in common: a short list that is read again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from monitor.tui.feed import Feed
from monitor.tui.keymap import Key, bindings
from monitor.tui.messages import ReportRead
from monitor.tui.screens.page import Page
from monitor.tui.widgets.job_table import TableHead
from monitor.tui.widgets.virtual_table import VirtualTable

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence
    from datetime import datetime

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from monitor.model import Target
    from monitor.tui.widgets.columns import Column, Span

EVERY = 2.0
"""Seconds between two readings."""


class Report(Page):
    """A page with a list of groups; Enter shows the jobs of the one under the cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings((Key("report.back", "escape", "go('jobs')", "jobs", "back to the jobs"),)),
    ]
    HEADING: ClassVar[str] = ""
    EMPTY: ClassVar[Sequence[Span]] = ()

    def compose_body(self) -> ComposeResult:
        """A line about the report, the table, and more about the row under the cursor."""
        self._heading = Static(Content.styled(self.HEADING, "bold"), id="report-heading")
        self.table: VirtualTable[Any] = VirtualTable(self.columns(), self.key, id="report")
        self._head, self._more = TableHead(self.table), Static(id="report-more")
        yield self._heading
        with Vertical(id="list"):
            yield self._head
            yield self.table
        yield self._more

    def on_mount(self) -> None:
        """Begin to read."""
        self.feed: Feed[str] = Feed(self.HEADING, self._read, self.post_message, self._pause)
        self.table.focus()
        self.feed.start()
        self.feed.want("report")

    def on_unmount(self) -> None:
        """Read no more."""
        self.feed.stop()

    def on_screen_resume(self) -> None:
        """Read at once when one comes back."""
        self.look()

    def look(self) -> None:
        """Read at once."""
        self.feed.look()

    def _pause(self) -> float | None:
        pace = self.monitor.pace.seconds(busy=False)
        return None if pace is None or self.monitor.page is not self else max(EVERY, pace)

    def _read(self, _wish: str) -> ReportRead:
        return ReportRead(self.read())

    @on(ReportRead)
    def _report_read(self, event: ReportRead) -> None:
        event.stop()
        rows, words = self.rows_of(event.report), self.words_of(event.report)
        table = self.table
        table.tick(self.source.now())
        table.empty = self.EMPTY
        table.set_total(len(rows))
        table.put(0, rows)
        self.monitor.read_well()
        heading = Content.assemble((self.HEADING, "bold"), "   ", (words, "$foreground-muted"))
        self._heading.update(heading)
        self._show_more()

    @on(VirtualTable.Replaced)
    def _replaced(self) -> None:
        self._head.refresh()

    @on(VirtualTable.Moved)
    def _show_more(self) -> None:
        row = self.table.current
        more = Content("") if row is None else self.more(row, self.source.now())
        self._more.update(more)

    @on(VirtualTable.Opened)
    def _opened(self) -> None:
        if self.table.current is not None:
            self.monitor.show_jobs(self.filter_for(self.table.current))

    def tick(self, now: datetime) -> None:
        """Let time pass."""
        self.table.tick(now)

    def target(self) -> Target | None:
        """All jobs of the group under the cursor."""
        row = self.table.current
        return None if row is None else self.monitor.target_of(self.filter_for(row))

    # what a report fills in

    def read(self) -> Any:
        """Read the report; in the feed's thread."""
        raise NotImplementedError

    def columns(self) -> Sequence[Column[Any]]:
        """What the table shows."""
        raise NotImplementedError

    key: Callable[[Any], Hashable]
    """What a row is told by."""

    def rows_of(self, report: Any) -> Sequence[Any]:
        """The rows of what was read."""
        raise NotImplementedError

    def words_of(self, report: Any) -> str:
        """What to say about it over the table."""
        raise NotImplementedError

    def filter_for(self, row: Any) -> str:
        """The filter's text for the jobs of a row."""
        raise NotImplementedError

    def more(self, row: Any, now: datetime) -> Content:
        """What to say about the row under the cursor."""
        raise NotImplementedError
