"""What a table of jobs shows of each: the columns, for wide and for narrow terminals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobnb.display.words import SYMBOLS, WORDS, duration
from monitor.tui.text import age, fit, fit_right, join, plain
from monitor.tui.widgets.columns import MUTED, Column, text_column

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from jobnb.db.rows import JobRow
    from monitor.tui.widgets.columns import Span

NARROW, ROOMY = 76, 110
"""Cells below which a state is its symbol alone and progress a number alone, and from which on bars are long."""


def job_columns(width: int) -> list[Column[JobRow]]:
    """The columns for a table of so many cells."""
    return _narrow() if width < NARROW else _wide(15 if width >= ROOMY else 11)


def _wide(progress: int) -> list[Column[JobRow]]:
    return [
        Column("state", "state", 11, _state, rank=1),
        text_column("id", "id", 8, lambda job, _: job.short_id, style=MUTED, rank=3),
        text_column("name", "name", 16, lambda job, _: plain(job.title), grow=4, most=36, rank=0),
        text_column("type", "type", 9, lambda job, _: plain(job.job_type), style=MUTED, grow=2, most=20, rank=7),
        Column("progress", "progress", progress, _progress, rank=4),
        text_column("took", "took", 8, _took, right=True, rank=5),
        text_column("age", "age", 5, lambda job, now: age(job.created_at, now), style=MUTED, right=True, rank=2),
        text_column("try", "try", 3, _try, style=MUTED, right=True, rank=9),
        text_column("kernel", "kernel", 14, lambda job, _: plain(job.kernel), style=MUTED, grow=1, most=24, rank=8),
        Column("message", "message", 18, _message, grow=7, rank=6),
    ]  # fmt: skip


def _narrow() -> list[Column[JobRow]]:
    return [
        Column("state", "", 1, _symbol, rank=1),
        text_column("id", "id", 8, lambda job, _: job.short_id, style=MUTED, rank=5),
        text_column("name", "name", 16, lambda job, _: plain(job.title), grow=3, most=40, rank=0),
        text_column("progress", "%", 4, _percent, style="state--in_progress", right=True, rank=2),
        text_column("took", "took", 8, _took, right=True, rank=4),
        text_column("age", "age", 5, lambda job, now: age(job.created_at, now), style=MUTED, right=True, rank=3),
        Column("message", "message", 12, _message, grow=2, rank=6),
    ]  # fmt: skip


def state_words(state: str) -> str:
    """Symbol and word of a state."""
    return f"{SYMBOLS[state]} {WORDS.get(state, state)}"


def bar(fraction: float, width: int) -> Sequence[Span]:
    """A progress bar of so many cells, to half a cell."""
    halves = round(max(0.0, min(1.0, fraction)) * width * 2)
    full, half = divmod(halves, 2)
    done = "━" * full + "╸" * half
    return ((done, "state--in_progress"), ("─" * (width - len(done)), "table--track"))


def what_it_says(job: JobRow) -> str:
    """Why it failed, or what it is doing, on one line."""
    said = plain(job.message)
    if job.state == "done" and job.has_value_error:
        return join(("value not stored whole", said))
    return join(("asked to stop", said)) if job.cancel_requested and job.is_active else said


def _state(job: JobRow, _now: datetime, width: int) -> Sequence[Span]:
    return ((fit(state_words(job.state), width), f"state--{job.state}"),)


def _symbol(job: JobRow, _now: datetime, width: int) -> Sequence[Span]:
    return ((fit(SYMBOLS[job.state], width), f"state--{job.state}"),)


def _progress(job: JobRow, _now: datetime, width: int) -> Sequence[Span]:
    if job.progress is None or job.state == "scheduled" or job.state == "done":
        return ((" " * width, ""),)
    if job.state == "in_progress":
        return (*bar(job.progress, width - 5), (f" {job.progress:4.0%}", "state--in_progress"))
    return ((fit_right(f"at {job.progress:.0%}", width), MUTED),)


def _percent(job: JobRow, _now: datetime) -> str:
    return f"{job.progress:.0%}" if job.progress is not None and job.state == "in_progress" else ""


def _took(job: JobRow, now: datetime) -> str:
    return duration(job.seconds(now))


def _try(job: JobRow, _now: datetime) -> str:
    return f"{job.attempt}/{job.max_attempts}" if job.max_attempts > 1 else ""


def _message(job: JobRow, _now: datetime, width: int) -> Sequence[Span]:
    style = f"state--{job.state}" if job.state in ("failed", "timeout", "lost") else MUTED
    return ((fit(what_it_says(job), width), style),)
