"""What is known about a job at a glance: pure functions from a `Detail` to lines of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content

from jobnb.display.words import SYMBOLS, WORDS, duration
from monitor.tui.text import age, clock, fit, join, plain
from monitor.tui.widgets.job_columns import bar, state_words, what_it_says

if TYPE_CHECKING:
    from datetime import datetime

    from monitor.model import Detail, JobRow

Fact = tuple[str, str, str]
"""A name, a plain text, and the text's colour."""

LABEL = 9


def facts(detail: Detail, now: datetime, width: int, most: int = 12) -> list[Content]:
    """The head of a job's page: its state and name, its progress, and facts in one or two columns.

    Args:
        detail: the job.
        now: the server's time.
        width: cells.
        most: lines at most; the facts that matter least are left out first.
    """
    lines = [title(detail.row, now, width), *_progress(detail.row, width), *_said(detail.row, width)]
    told = _told(detail, now)
    columns = 2 if width >= 2 * (LABEL + 22) else 1
    room = max(0, most - len(lines) - 1) * columns
    told = told[:room]
    for row in range(-(-len(told) // columns)):
        pair = told[row * columns : (row + 1) * columns]
        cells = [width // columns] * (columns - 1) + [width - width // columns * (columns - 1)]
        lines.append(Content("").join(_fact(fact, cell) for fact, cell in zip(pair, cells, strict=False)))
    if len(lines) < most:
        lines.append(_fact(("id", str(detail.row.job_id), ""), width))
    return lines


def title(row: JobRow, now: datetime, width: int) -> Content:
    """State, name, id and time on one line."""
    state = state_words(row.state)
    end = f"  {duration(row.seconds(now))}  {row.short_id}"
    name = fit(plain(row.title), max(6, width - len(state) - len(end) - 2))
    return Content.assemble((state, f"bold $job-{row.state}"), "  ", (name, "bold"), (end, "$foreground-muted"))


def _progress(row: JobRow, width: int) -> list[Content]:
    if row.progress is None or row.state != "in_progress":
        return []
    (done, _), (rest, _) = bar(row.progress, max(4, width - 6))
    return [Content.assemble((done, "$job-in_progress"), (rest, "$foreground-disabled"), f" {row.progress:4.0%}")]


def _said(row: JobRow, width: int) -> list[Content]:
    words = what_it_says(row)
    style = f"$job-{row.state}" if row.is_failure else "$foreground-muted"
    return [Content.styled(fit(words, width), style)] if words else []


def _told(detail: Detail, now: datetime) -> list[Fact]:
    job, row = detail.job, detail.row
    told: list[Fact] = [
        ("type", plain(row.job_type), ""),
        ("kernel", _kernel(detail, now), ""),
        ("created", _moment(row.created_at, now), ""),
        ("started", join((clock(row.started_at, now), _waited(row, now, detail.queue)), ", "), ""),
        ("ended", _moment(row.finished_at, now), ""),
        ("took", duration(row.seconds(now)), ""),
    ]
    if row.max_attempts > 1 or row.attempt > 1:
        told.append(("attempt", f"{row.attempt} of {row.max_attempts}", ""))
    if job.timeout_s is not None:
        told.append(("timeout", duration(job.timeout_s), ""))
    if row.cancel_requested and row.is_active:
        told.insert(
            0, ("asked", f"to stop {age(job.cancel_requested_at, now)} ago; it ends when its code ends", "$warning")
        )
    if detail.group:
        counts = ((count, WORDS.get(state, state)) for state, count in detail.group.items() if count)
        told.append(("group", ", ".join(f"{count:,} {word}" for count, word in counts), ""))
    if row.retry_of is not None:
        told.append(("repeats", _other(detail.original) or f"{row.retry_of.hex[-8:]}, which is deleted", ""))
    if detail.retries:
        told.append(("repeated", join([_other(one) for one in detail.retries[:3]], ", "), ""))
    told += [
        (name, str(value), "")
        for name, value in (("document", job.document_id), ("property", job.property_id))
        if value
    ]
    if job.executor:
        told.append(("runs on", plain(job.executor), ""))
    return [fact for fact in told if fact[1]]


def _other(row: JobRow | None) -> str:
    return "" if row is None else f"{row.short_id} {SYMBOLS[row.state]}"


def _kernel(detail: Detail, now: datetime) -> str:
    kernel = detail.kernel
    if kernel is None:
        return plain(detail.row.kernel) or "nobody has taken it"
    words = {"stopped": "gone", "silent": f"silent for {age(kernel.heartbeat, now)}"}.get(kernel.state(now), "")
    return join((plain(kernel.label), f"pid {kernel.pid}", words))


def _moment(moment: datetime | None, now: datetime) -> str:
    return "" if moment is None else f"{clock(moment, now)}, {age(moment, now)} ago"


def _waited(row: JobRow, now: datetime, queue: int | None) -> str:
    seconds = row.waited(now)
    if row.state == "scheduled":
        before = "" if queue is None else "is next" if queue == 0 else f"{queue:,} before it"
        return join((f"waiting for {duration(seconds)}" if seconds is not None else "waiting", before))
    return "" if seconds is None else f"after {duration(seconds)}"


def _fact(fact: Fact, width: int) -> Content:
    name, text, style = fact
    return Content.assemble((fit(name, LABEL), "$foreground-muted"), (fit(text, width - LABEL - 2) + "  ", style))
