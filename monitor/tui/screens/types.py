"""How each type of job is doing: how many wait, run and fail, and how long they take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content

from jobnb.display.words import duration
from monitor.filters import quoted
from monitor.tui.screens.report import Report
from monitor.tui.text import age, clock, fit_right, plain
from monitor.tui.widgets.columns import FAINT, MUTED, STRONG, Column, count_column, text_column
from monitor.tui.widgets.sparkline import bars

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence
    from datetime import datetime

    from monitor.model import TypeReport, TypeRow
    from monitor.tui.widgets.columns import Span


class TypesScreen(Report):
    """One row a type."""

    HEADING = "Types"
    EMPTY = (("no jobs yet", "table--strong"), ("", ""), ("Esc goes back", MUTED))

    def key(self, row: TypeRow) -> Hashable:
        """The type."""
        return row.job_type

    def read(self) -> TypeReport:
        """Ask for the types."""
        return self.source.types()

    def columns(self) -> Sequence[Column[TypeRow]]:
        """Numbers and times."""
        return [
            text_column("type", "type", 12, lambda row, _: plain(row.job_type), style=STRONG, grow=2, most=50, rank=0),
            count_column("running", "running", 7, lambda row: row.running, style="state--in_progress", rank=1),
            count_column("queued", "queued", 7, lambda row: row.queued, rank=2),
            text_column("finished", "ended", 8, lambda row, _: f"{row.finished:,}", style=MUTED, right=True, rank=6),
            Column("failures", "failed", 12, _failures, right=True, rank=3),
            text_column("p50", "half take", 9, lambda row, _: duration(row.p50), right=True, rank=4),
            text_column("p95", "95 % take", 9, lambda row, _: duration(row.p95), right=True, rank=5),
            text_column("wait", "half wait", 9, lambda row, _: duration(row.wait_p50), style=MUTED, right=True, rank=8),
            text_column("history", "lately", 24, lambda row, _: _history(row), style="state--in_progress", rank=7),
            text_column("last", "last", 5, lambda row, now: age(row.last, now), style=MUTED, right=True, rank=9),
        ]  # fmt: skip

    def rows_of(self, report: TypeReport) -> Sequence[TypeRow]:
        """The types."""
        return report.types

    def words_of(self, report: TypeReport) -> str:
        """How far back this goes."""
        which = "all" if report.complete else "the newest"
        since = "" if report.since is None else f", since {clock(report.since, report.as_of)}"
        return f"from {which} {report.examined:,} jobs that ended{since}"

    def filter_for(self, row: TypeRow) -> str:
        """Its jobs."""
        return f"type:={quoted(row.job_type)}"

    def more(self, row: TypeRow, now: datetime) -> Content:
        """How long it takes."""
        if row.p50 is None:
            return Content.styled("none of them has ended lately", "$foreground-muted")
        share = row.failures / max(1, row.finished)
        times = f"half of {row.finished:,} took at most {duration(row.p50)}, 95 of 100 at most {duration(row.p95)}"
        words = f"{times}; {share:.1%} failed; the last one ended {age(row.last, now)} ago"
        return Content.styled(words, "$foreground-muted")


def _history(row: TypeRow) -> str:
    return bars(row.history, 24)[0]


def _failures(row: TypeRow, _now: datetime, width: int) -> Sequence[Span]:
    if not row.failures:
        return ((fit_right("-", width), FAINT),)
    share = f"{row.failures / max(1, row.finished):.0%}"
    return ((fit_right(f"{row.failures:,}  {share:>4}", width), "state--failed"),)
