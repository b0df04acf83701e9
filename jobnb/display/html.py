"""Jobs as static HTML: complete in itself, without scripts, every text of a job escaped."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from jobnb.display.words import COLORS, SYMBOLS, duration, message, one_line, state_word, title

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobnb.models import Job

_FONT = "font:13px/1.5 system-ui,sans-serif"
_CELL = "padding:2px 10px 2px 0;text-align:left;vertical-align:top"


def badge(job: Job) -> str:
    """The state as symbol, word and colour."""
    color = COLORS[job.state]
    return (
        f'<span style="color:{color};font-weight:600;white-space:nowrap">{SYMBOLS[job.state]} {state_word(job)}</span>'
    )


def bar(fraction: float) -> str:
    """A progress bar with its number."""
    return (
        '<span style="display:inline-block;width:120px;height:8px;border-radius:4px;background:#8884;'
        f'vertical-align:middle"><span style="display:block;width:{fraction:.0%};height:8px;border-radius:4px;'
        f'background:{COLORS["in_progress"]}"></span></span> {fraction:.0%}'
    )


def job_card(job: Job) -> str:
    """One job in one line."""
    parts = [
        badge(job),
        f"<b>{_text(title(job), 60)}</b>",
        f'<span style="opacity:.7">{_text(job.job_type, 50)} · {job.short_id}</span>',
        bar(job.progress) if job.progress is not None and job.state == "in_progress" else "",
        duration(job.elapsed),
        f'<span style="opacity:.85">{escape(message(job))}</span>',
    ]
    inside = "".join(_span(part) for part in parts if part)
    return f'<div style="{_FONT};display:flex;gap:12px;flex-wrap:wrap">{inside}</div>'


def job_table(jobs: Sequence[Job], heading: str = "") -> str:
    """Several jobs as a table, in the order given."""
    head = "".join(
        f'<th style="{_CELL}">{name}</th>' for name in ("state", "id", "type", "name", "created", "time", "message")
    )
    rows = "".join(f"<tr>{_row(job)}</tr>" for job in jobs)
    note = f'<div style="{_FONT};margin-bottom:4px">{escape(heading)}</div>' if heading else ""
    return f'{note}<table style="{_FONT};border-collapse:collapse"><tr>{head}</tr>{rows}</table>'


def _row(job: Job) -> str:
    created = job.created_at.strftime("%Y-%m-%d %H:%M:%S UTC") if job.created_at else ""
    cells = (
        badge(job),
        f"<code>{job.short_id}</code>",
        _text(job.job_type, 50),
        _text(title(job), 60),
        created,
        duration(job.elapsed),
        escape(message(job)),
    )
    return "".join(f'<td style="{_CELL}">{cell}</td>' for cell in cells)


def _text(text: str, limit: int) -> str:
    return escape(one_line(text, limit))


def _span(part: str) -> str:
    return f"<span>{part}</span>"
