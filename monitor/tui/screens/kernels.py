"""The processes that run jobs: which live, and what they have to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content

from monitor.filters import quoted
from monitor.tui.screens.report import Report
from monitor.tui.text import age, clock, fit, join, plain
from monitor.tui.widgets.columns import FAINT, MUTED, STRONG, Column, count_column, text_column

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence
    from datetime import datetime

    from monitor.model import KernelRow
    from monitor.tui.widgets.columns import Span

STATES = {
    "alive": ("◐ at work", "state--in_progress"),
    "idle": ("○ idle", MUTED),
    "silent": ("! silent", "state--failed"),
    "stopped": ("· gone", FAINT),
}


class KernelsScreen(Report):
    """One row a process."""

    HEADING = "Kernels"
    EMPTY = (
        ("no kernel has run jobs yet", "table--strong"),
        ("", ""),
        ("a kernel appears with its first jobnb.submit(...)", MUTED),
    )

    def key(self, row: KernelRow) -> Hashable:
        """Its id."""
        return row.kernel_id

    def read(self) -> list[KernelRow]:
        """Ask for them."""
        return self.source.kernels()

    def columns(self) -> Sequence[Column[KernelRow]]:
        """Who, whether alive, and how much to do."""
        return [
            Column("state", "state", 9, _state, rank=1),
            text_column("name", "kernel", 14, lambda row, _: plain(row.label), style=STRONG, grow=3, most=50, rank=0),
            count_column("running", "running", 7, lambda row: row.running, style="state--in_progress", rank=2),
            count_column("queued", "queued", 6, lambda row: row.queued, rank=3),
            count_column("stopping", "stopping", 8, lambda row: row.stopping, style="state--cancelled", rank=7),
            text_column("heartbeat", "last sign", 9, lambda row, now: age(row.heartbeat, now), right=True, rank=4),
            text_column("up", "since", 5, lambda row, now: age(row.started_at, now), style=MUTED, right=True, rank=6),
            text_column("host", "host", 10, lambda row, _: plain(row.host), grow=1, most=30, rank=5),
            text_column("pid", "pid", 8, lambda row, _: str(row.pid), style=MUTED, right=True, rank=8),
            text_column("user", "user", 8, lambda row, _: plain(row.user), style=MUTED, grow=1, most=20, rank=9),
            text_column("python", "python", 8, lambda row, _: plain(row.python), style=MUTED, rank=10),
        ]  # fmt: skip

    def rows_of(self, report: list[KernelRow]) -> Sequence[KernelRow]:
        """The processes."""
        return report

    def words_of(self, report: list[KernelRow]) -> str:
        """How many there are."""
        now = self.source.now()
        states = [row.state(now) for row in report]
        known = (
            (states.count(state), word)
            for state, word in (("alive", "at work"), ("silent", "silent"), ("idle", "idle"), ("stopped", "gone"))
        )
        return join((f"{count} {word}" for count, word in known if count), ", ")

    def filter_for(self, row: KernelRow) -> str:
        """Its jobs."""
        return f"kernel:{quoted(row.label)}"

    def more(self, row: KernelRow, now: datetime) -> Content:
        """Where it is, and what its state means."""
        words = {
            "silent": f"its jobs should run, but there was no sign of life for {age(row.heartbeat, now)}; "
            "if it is dead, its jobs become lost as soon as jobnb is used on its host, or after a long silence",
            "stopped": f"it said goodbye, or was found dead, {age(row.stopped_at, now)} ago",
            "idle": "it has nothing to do; an idle kernel sends no signs of life",
            "alive": f"{row.running:,} jobs run and {row.queued:,} wait in it",
        }[row.state(now)]
        where = join(
            (
                plain(row.notebook or "", 200),
                f"{plain(row.user, 40)}@{plain(row.host, 60)} pid {row.pid}",
                f"since {clock(row.started_at, now)}",
            )
        )
        return Content.assemble((where, ""), "\n", (words, "$foreground-muted"))


def _state(row: KernelRow, now: datetime, width: int) -> Sequence[Span]:
    words, style = STATES[row.state(now)]
    return ((fit(words, width), style),)
