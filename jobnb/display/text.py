"""Jobs as text, for `repr`, consoles and notebooks without HTML."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobnb.display.words import SYMBOLS, duration, message, moment, one_line, percent, running_time, state_word, title

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobnb.models import Job


def bar(fraction: float | None, width: int = 20) -> str:
    """A progress bar with its number; empty if the job never said how far it is."""
    if fraction is None:
        return ""
    full = round(fraction * width)
    return f"{'█' * full}{'░' * (width - full)} {percent(fraction):>4}"


def job_line(job: Job) -> str:
    """One job in one line."""
    parts = [
        f"{SYMBOLS[job.state]} {state_word(job)}",
        job.short_id,
        one_line(title(job), 60)
        if title(job) == job.job_type
        else f"{one_line(title(job), 60)} ({one_line(job.job_type)})",
        bar(job.progress) if job.state == "in_progress" else "",
        duration(job.elapsed) if job.status.is_final else running_time(job.elapsed, job.progress),
        message(job),
    ]
    return "  ".join(part for part in parts if part)


def job_table(jobs: Sequence[Job]) -> str:
    """Several jobs as a table, one line each."""
    if not jobs:
        return "no jobs"
    rows = [("state", "id", "type", "name", "created", "time", "message")]
    rows += [
        (
            f"{SYMBOLS[job.state]} {state_word(job)}",
            job.short_id,
            one_line(job.job_type, 20),
            one_line(title(job), 40),
            moment(job.created_at),
            duration(job.elapsed),
            message(job)[:60],
        )
        for job in jobs
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(7)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "─" * len(lines[0]), *lines[1:]])


def counts_line(counts: dict[str, int]) -> str:
    """How many jobs are in each state: `3 done, 1 failed`."""
    order = [state for state in SYMBOLS if counts.get(state)]
    return ", ".join(f"{counts[state]:,} {state.replace('in_progress', 'running')}" for state in order) or "no jobs"
