"""Failed jobs, grouped by what went wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.content import Content

from monitor.tui.keymap import Key, bindings
from monitor.tui.screens.report import Report
from monitor.tui.text import age, clock, fit, plain
from monitor.tui.widgets.columns import MUTED, STRONG, Column, text_column
from monitor.tui.widgets.job_columns import state_words
from monitor.tui.widgets.sparkline import bars

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence
    from datetime import datetime

    from textual.binding import BindingType

    from monitor.model import ErrorGroup, ErrorReport
    from monitor.tui.widgets.columns import Span


class ErrorsScreen(Report):
    """One row for each thing that goes wrong."""

    HEADING = "Errors"
    EMPTY = (("nothing has failed", "table--strong"), ("", ""), ("Esc goes back to the jobs", MUTED))
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(
            (
                Key("errors.show", "enter", "show_group", "jobs of it", "show the jobs of this group"),
                Key("job.retry", "r", "retry", "retry all", "run the jobs of this group again", changes=True),
                Key("job.delete", "D,delete", "delete", "", "delete the jobs of this group", changes=True),
                Key("job.undo", "u", "undo", "", "undo the last action", changes=True),
                Key("job.copy", "y", "copy_message", "copy", "copy the message"),
            )
        )
    ]

    def key(self, row: ErrorGroup) -> Hashable:
        """The fingerprint."""
        return row.fingerprint

    def read(self) -> ErrorReport:
        """Ask for the groups."""
        return self.source.errors()

    def columns(self) -> Sequence[Column[ErrorGroup]]:
        """How many, when, and what."""
        return [
            text_column("count", "jobs", 7, lambda group, _: f"{group.jobs:,}", style=STRONG, right=True, rank=0),
            Column("state", "state", 11, _state, rank=4),
            text_column("message", "what went wrong", 20, lambda group, _: plain(group.message), grow=6, rank=1),
            text_column("types", "types", 12, lambda group, _: _types(group), style=MUTED, grow=1, most=30, rank=5),
            text_column("history", "lately", 24, lambda group, _: _history(group), style="state--failed", rank=6),
            text_column("first", "first", 6, lambda group, now: age(group.first, now), style=MUTED, right=True, rank=3),
            text_column("last", "last", 5, lambda group, now: age(group.last, now), right=True, rank=2),
        ]  # fmt: skip

    def rows_of(self, report: ErrorReport) -> Sequence[ErrorGroup]:
        """The groups."""
        return report.groups

    def words_of(self, report: ErrorReport) -> str:
        """How far back this goes."""
        if not report.groups:
            return ""
        which = "all" if report.complete else "the newest"
        since = "" if report.since is None else f", since {clock(report.since, report.as_of)}"
        return f"{len(report.groups)} kinds in {which} {report.examined:,} failed jobs{since}"

    def filter_for(self, row: ErrorGroup) -> str:
        """Its jobs."""
        return f"same:{row.fingerprint}"

    def more(self, row: ErrorGroup, now: datetime) -> Content:
        """The whole message, and some of the jobs."""
        sample = ", ".join(job.hex[-8:] for job in row.sample)
        kinds = ", ".join(f"{plain(kind, 50)} {count:,}" for kind, count in row.types)
        return Content("\n").join(
            [
                Content.styled(plain(row.message, 500), f"$job-{row.state}"),
                _line("types", kinds),
                _line("seen", f"{clock(row.first, now)} to {clock(row.last, now)}"),
                _line("newest", sample),
            ]
        )

    def action_show_group(self) -> None:
        """Show its jobs."""
        self._opened()

    def action_copy_message(self) -> None:
        """Copy the message."""
        if self.table.current is not None:
            self.monitor.copy_text(self.table.current.message, "the message")


def _state(group: ErrorGroup, _now: datetime, width: int) -> Sequence[Span]:
    return ((fit(state_words(group.state), width), f"state--{group.state}"),)


def _history(group: ErrorGroup) -> str:
    return bars(group.history, 24)[0]


def _types(group: ErrorGroup) -> str:
    return ", ".join(plain(kind, 50) for kind, _ in group.types)


def _line(name: str, text: str) -> Content:
    return Content.assemble((name.ljust(8), "$foreground-muted"), text)
