"""How each type of job is doing: how many wait, run and fail, and how long they take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content

from jobnb.display.words import duration
from monitor.filters import quoted
from monitor.model import TypeReport, TypeRow
from monitor.tui.screens.report import Report
from monitor.tui.text import age, clock, fit_right, plain
from monitor.tui.widgets.columns import Column, text_column
from monitor.tui.widgets.sparkline import bars

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence
    from datetime import datetime

    from monitor.tui.widgets.columns import Span


class TypesScreen(Report):
    """One row a type."""

    HEADING = "Types"
    EMPTY = (("no jobs yet", "table--strong"), ("", ""), ("Esc goes back", "table--muted"))

    def key(self, row: TypeRow) -> Hashable:  # type: ignore[override] # a function, as the table wants it
        """The type."""
        return row.job_type

    def read(self) -> TypeReport:
        """Ask for the types."""
        return self.source.types()

    def columns(self) -> Sequence[Column[TypeRow]]:
        """Numbers and times."""
        return [
            text_column("type", "type", 12, lambda row, _: plain(row.job_type), style="table--strong", grow=2, most=50, rank=0),
            Column("running", "running", 7, lambda row, _, width: _count(row.running, width, "state--in_progress"), right=True, rank=1),
            Column("queued", "queued", 7, lambda row, _, width: _count(row.queued, width, ""), right=True, rank=2),
            text_column("finished", "ended", 8, lambda row, _: f"{row.finished:,}", style="table--muted", right=True, rank=6),
            Column("failures", "failed", 12, _failures, right=True, rank=3),
            text_column("p50", "half take", 9, lambda row, _: duration(row.p50), right=True, rank=4),
            text_column("p95", "95 % take", 9, lambda row, _: duration(row.p95), right=True, rank=5),
            text_column("wait", "half wait", 9, lambda row, _: duration(row.wait_p50), style="table--muted", right=True, rank=8),
            text_column("history", "lately", 24, lambda row, _: bars(row.history, 24)[0], style="state--in_progress", rank=7),
            text_column("last", "last", 5, lambda row, now: age(row.last, now), style="table--muted", right=True, rank=9),
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
        words = f"half of {row.finished:,} took at most {duration(row.p50)}, 95 of 100 at most {duration(row.p95)}; {share:.1%} failed"
        return Content.styled(f"{words}; the last one ended {age(row.last, now)} ago", "$foreground-muted")


def _count(count: int, width: int, style: str) -> Sequence[Span]:
    return ((fit_right(f"{count:,}" if count else "–", width), style if count else "table--faint"),)


def _failures(row: TypeRow, _now: datetime, width: int) -> Sequence[Span]:
    if not row.failures:
        return ((fit_right("–", width), "table--faint"),)
    share = f"{row.failures / max(1, row.finished):.0%}"
    return ((fit_right(f"{row.failures:,}  {share:>4}", width), "state--failed"),)
