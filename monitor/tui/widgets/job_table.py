"""The table of jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from jobnb.db.rows import JobRow
from monitor.tui.widgets.columns import column_at
from monitor.tui.widgets.job_columns import job_columns
from monitor.tui.widgets.table_view import GUTTER, TableView
from monitor.tui.widgets.virtual_table import VirtualTable

if TYPE_CHECKING:
    from datetime import datetime


class JobTable(VirtualTable[JobRow]):
    """Jobs by their id, in the columns that fit."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(job_columns(100), lambda job: job.job_id, id=id)

    def tick(self, now: datetime) -> int:
        """Let time pass; jobs that ended over a minute ago are older by a minute, once a minute."""
        before, self.now = self.now, now
        self.fit_scrollbar(now=True)
        new_minute = before.minute != now.minute
        shown = range(self.first, min(self.first + self.height, self.rows.total))
        return self.repaint(line for line in shown if new_minute or _is_young(self.rows[line], now))

    def place_columns(self) -> None:
        """Choose the columns anew."""
        self.columns = job_columns(self.size.width)
        super().place_columns()


def _is_young(job: JobRow | None, now: datetime) -> bool:
    return job is None or job.is_active or job.created_at is None or (now - job.created_at).total_seconds() < 62


class TableHead(Widget):
    """The titles over a table; a click on one sorts by it."""

    ALLOW_SELECT = False

    class Clicked(Message):
        """A title was clicked."""

        def __init__(self, column: str) -> None:
            super().__init__()
            self.column = column

    def __init__(self, table: TableView) -> None:  # type: ignore[type-arg] # rows of any kind
        super().__init__()
        self.table = table

    def render(self) -> Content:
        """The titles."""
        return Content(self.table.head())

    def on_click(self, event: object) -> None:
        """Tell which title was clicked."""
        name = column_at(self.table.placed, event.x - GUTTER)  # type: ignore[attr-defined] # a Click
        if name:
            self.post_message(self.Clicked(name))
