"""Many jobs in one view: counts on top, then the jobs one looks for, failures first."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from jobnb.display import html, text
from jobnb.display.words import COLORS, SYMBOLS, WORDS, duration, moment, running_time

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from jobnb.models import Job

ROWS = 10
"""How many jobs are shown in rows; the others are only counted."""

_RANKS = {"failed": 0, "timeout": 0, "lost": 0, "in_progress": 1, "cancelled": 2, "scheduled": 3, "done": 4}


def rank(state: str) -> int:
    """How much one wants to see a job of this state; 0 is the most."""
    return _RANKS[state]


@dataclass(frozen=True)
class Overview:
    """What is shown of many jobs.

    Attributes:
        name: what they are called together.
        counts: how many are in each state.
        rows: some of them, each with its arguments in words.
        fraction: how much of all is done, in [0, 1].
        elapsed: seconds since the first began; None before.
        ended: when the last ended; None while one goes on.
    """

    name: str
    counts: Mapping[str, int]
    rows: Sequence[tuple[Job, str]]
    fraction: float = 0.0
    elapsed: float | None = None
    ended: datetime | None = None

    @property
    def total(self) -> int:
        """How many there are."""
        return sum(self.counts.values())


def overview_of(jobs: Sequence[Job], name: str = "") -> Overview:
    """An overview of jobs that are all at hand."""
    chosen = sorted(jobs, key=lambda job: rank(job.state))[:ROWS]
    counts = Counter(job.state for job in jobs)
    whole = sum(1.0 if job.status.is_final else job.progress or 0.0 for job in jobs)
    begun = [job.started_at for job in jobs if job.started_at is not None]
    ends = [job.finished_at for job in jobs if job.finished_at is not None]
    over = bool(jobs) and all(job.status.is_final for job in jobs)
    elapsed = (max(ends) - min(begun)).total_seconds() if over and begun and ends else None
    ended = max(ends) if over and ends else None
    return Overview(name, counts, [(job, "") for job in chosen], whole / max(1, len(jobs)), elapsed, ended)


def overview_html(view: Overview) -> str:
    """As static HTML."""
    parts = [f"<b>{escape(_heading(view))}</b>", _stacked(view), *_counts(view), _times(view)]
    spans = " ".join(f'<span style="flex:none">{part}</span>' for part in parts if part)
    left = view.total - len(view.rows)
    more = f'<div style="{html.DIM}">… and {left:,} more</div>' if left > 0 else ""
    rows = [html.row_of(job, call) for job, call in view.rows]
    inside = html.table(("state", "call", "id", "time", "message"), rows) if rows else ""
    top = "display:flex;flex-wrap:wrap;gap:0 14px;align-items:center;white-space:nowrap;padding:1px 0 3px"
    frame = f"border-left:3px solid {_color(view)};padding-left:10px;overflow-x:auto"
    style = f"{html.FONT};{html.FIT};{frame}"
    return f'<div class="jobnb-card" style="{style}"><div style="{top}">{spans}</div>{inside}{more}</div>'


def overview_text(view: Overview) -> str:
    """As one line of text, and a line for each failed job that is shown."""
    first = f"{_heading(view)}: {text.counts_line(dict(view.counts))}"
    if view.ended is None:
        first += f"  {text.bar(view.fraction)}"
    times = _plain_times(view)
    failures = [f"  {text.job_line(job)}" for job, _ in view.rows if rank(job.state) == 0]
    return "\n".join([f"{first}  {times}".rstrip(), *failures])


def _heading(view: Overview) -> str:
    return f"{view.name} · {view.total:,} jobs" if view.name else f"{view.total:,} jobs"


def _counts(view: Overview) -> list[str]:
    return [
        f'<span style="color:{COLORS[state]};font-weight:600">{SYMBOLS[state]} {view.counts[state]:,} '
        f"{WORDS.get(state, state)}</span>"
        for state in sorted(SYMBOLS, key=rank)
        if view.counts.get(state)
    ]


def _stacked(view: Overview) -> str:
    """A bar of what has ended well and badly, what runs and what waits, with the number of all that is done."""
    total = max(1, view.total)
    widths = {
        "done": view.counts.get("done", 0) / total,
        "failed": sum(view.counts.get(state, 0) for state in ("failed", "timeout", "lost")) / total,
        "cancelled": view.counts.get("cancelled", 0) / total,
    }
    widths["in_progress"] = max(0.0, view.fraction - sum(widths.values()))
    pieces = "".join(
        f'<span style="display:block;width:{share * 100:.1f}%;height:8px;background:{COLORS[state]}"></span>'
        for state, share in widths.items()
        if share > 0
    )
    return (
        '<span style="display:inline-flex;width:120px;height:8px;border-radius:4px;background:#8885;overflow:hidden;'
        f'vertical-align:middle">{pieces}</span> {html.number(view.fraction)}'
    )


def _times(view: Overview) -> str:
    return f'<span style="{html.DIM}">{escape(_plain_times(view))}</span>'


def _plain_times(view: Overview) -> str:
    if view.ended is None:
        return running_time(view.elapsed, view.fraction)
    spent = f"took {duration(view.elapsed)} · " if view.elapsed is not None else ""
    return f"{spent}{moment(view.ended)}"


def _color(view: Overview) -> str:
    if any(view.counts.get(state) for state in ("failed", "timeout", "lost")):
        return COLORS["failed"]
    if view.ended is None:
        return COLORS["in_progress" if view.elapsed is not None else "scheduled"]
    return COLORS["cancelled" if view.counts.get("cancelled") else "done"]
