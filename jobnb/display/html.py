"""Jobs as static HTML: complete in itself, without scripts and style sheets, every text of a job escaped.

Notebooks, their exports and code hosts show it; untrusted notebooks keep inline styles and little else. Every state is
a word, a symbol and a colour, every bar has its number beside it.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from jobnb.display.words import (
    COLORS,
    SYMBOLS,
    as_of,
    duration,
    message,
    moment,
    one_line,
    percent,
    running_time,
    state_word,
    title,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from jobnb.models import Job

FONT = (
    "font-family:var(--jp-ui-font-family,system-ui,sans-serif);font-size:13px;line-height:22px;"
    "font-variant-numeric:tabular-nums;color:var(--jp-content-font-color1,inherit)"
)
"""Of everything; a widget and static HTML have different fonts in JupyterLab otherwise, and the card would jump."""
DIM = "opacity:.65"
FIT = "width:0;min-width:100%;box-sizing:border-box"
"""As wide as there is room, whatever is inside: a widget would grow with its content, and be cut off."""
CUT = "overflow:hidden;text-overflow:ellipsis;white-space:nowrap"
CODE = "font-family:var(--jp-code-font-family,monospace);font-size:12px"
TRACEBACK_LIMIT = 4_000
"""Characters of a traceback, from its end, that a card carries; the whole is in the row."""

_CELL = "padding:1px 16px 1px 0;line-height:22px;text-align:left;vertical-align:top;border:none;white-space:nowrap"


def badge(job: Job) -> str:
    """The state as symbol, word and colour."""
    return (
        f'<span style="color:{COLORS[job.state]};font-weight:600;white-space:nowrap">'
        f"{SYMBOLS[job.state]} {state_word(job)}</span>"
    )


def bar(fraction: float, width: int = 140) -> str:
    """A progress bar with its number."""
    color, done = COLORS["in_progress"], f"{fraction * 100:.1f}%"
    return (
        f'<span style="display:inline-block;width:{width}px;height:8px;border-radius:4px;background:#8885;'
        f'overflow:hidden;vertical-align:middle"><span style="display:block;width:{done};height:8px;'
        f'background:{color}"></span></span> {number(fraction)}'
    )


def number(fraction: float) -> str:
    """A fraction in percent, as wide as 100 %: what stands behind it does not move."""
    return f'<span style="display:inline-block;min-width:36px">{percent(fraction)}</span>'


def said_now(shown: str) -> str:
    """What is shown of jobs that go on, with the time at which it was so."""
    return f'{shown}<div style="{FONT};{DIM};padding-left:13px">{as_of()}</div>'


def job_card(job: Job) -> str:
    """One job in one line; how, when and how long once it has ended; the traceback folded up below."""
    parts = [
        f'<span style="min-width:84px;flex:none">{badge(job)}</span>',
        f'<b style="flex:0 1 auto;min-width:60px;{CUT}">{_text(title(job), 60)}</b>',
        f'<span style="flex:none;{DIM}">{_code(job.short_id)}</span>',
        # in a narrow window the type goes first
        f'<span style="flex:0 1000 auto;min-width:0;{DIM};{CUT}">{_kind(job)}</span>',
        *(_ended(job) if job.status.is_final else _under_way(job)),
    ]
    # the blanks are for places that take styles away, such as code hosts; where there are styles they are not seen
    return f"{_frame(job, ' '.join(parts))}{_traceback(job)}"


def job_table(jobs: Sequence[Job], heading: str = "") -> str:
    """Several jobs as a table, in the order given."""
    note = f'<div style="{FONT};margin-bottom:4px">{escape(heading)}</div>' if heading else ""
    if not jobs:
        return note or f'<div style="{FONT};{DIM}">no jobs</div>'
    rows = [
        (badge(job), _name(job), _text(job.job_type, 30), _code(job.short_id), _moment(job.created_at), _time(job),
         _message(job))
        for job in jobs
    ]  # fmt: skip
    return note + table(("state", "name", "type", "id", "created", "time", "message"), rows)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are HTML already; the last column gets the room that is left.

    A notebook's own style for tables does not get through.
    """
    top = "".join(f'<th style="{_CELL};font-weight:400;{DIM}">{escape(name)}</th>' for name in head)
    body = "".join(f'<tr style="background:none">{_cells(row)}</tr>' for row in rows)
    return (
        f'<table style="{FONT};width:100%;border-collapse:collapse;margin:0;table-layout:auto;border:none">'
        f'<tr style="border-bottom:1px solid #8885;background:none">{top}</tr>{body}</table>'
    )


def _cells(row: Sequence[str]) -> str:
    *others, last = row
    cells = "".join(f'<td style="{_CELL}">{cell}</td>' for cell in others)
    return f'{cells}<td style="{_CELL};width:100%;max-width:0"><div style="{CUT}">{last}</div></td>'


def still_to_tell(words: str) -> str:
    """A line that claims nothing about a state: what a document shows if nobody lives to bring it up to date."""
    return f'<div class="jobnb-card" style="{FONT};{DIM}">{escape(words)}</div>'


def text_cell(text: str, limit: int) -> str:
    """A text of a job, on one line and harmless."""
    return escape(one_line(text, limit))


def row_of(job: Job, call: str = "") -> tuple[str, ...]:
    """A job as cells of the table of a group: state, name and arguments, id, time, message."""
    arguments = f'<span style="{DIM}">({_text(call, 40)})</span>' if call else ""
    return (
        badge(job),
        f"{_name(job)}{arguments}",
        _code(job.short_id),
        f"{_small_bar(job)}{_time(job)}",
        _message(job),
    )


def _under_way(job: Job) -> list[str]:
    seconds = running_time(job.elapsed, job.progress)
    return [
        f'<span style="flex:none">{bar(job.progress, 110)}</span>' if job.progress is not None else "",
        f'<span style="flex:none" title="elapsed, and an estimate of what is left">{escape(seconds)}</span>',
        _rest(message(job), DIM),
    ]


def _ended(job: Job) -> list[str]:
    # the words for a stopped job say how long it ran; those for an error are above its traceback
    says_time = job.state in ("cancelled", "timeout")
    spent = "" if says_time or job.elapsed is None else f"took {duration(job.elapsed)}"
    words = "" if job.traceback else message(job)
    color = f"color:{COLORS[job.state]}" if job.state in ("failed", "lost", "timeout") else DIM
    return [
        f'<span style="flex:none">{spent}</span>' if spent else "",
        _rest(words, color),
        f'<span style="flex:none;{DIM}">{_moment(job.finished_at)}</span>',
    ]


def _rest(words: str, style: str) -> str:
    """What gets the room that is left in a line; whole when pointed at."""
    return f'<span style="flex:1 1 0;min-width:40px;{style};{CUT}" title="{escape(words)}">{escape(words)}</span>'


def _moment(at: datetime | None) -> str:
    """A point in time, to the second when pointed at."""
    return f'<span title="{at.isoformat(" ", "seconds")}">{moment(at)}</span>' if at is not None else ""


def _frame(job: Job, inside: str) -> str:
    return (
        f'<div class="jobnb-card" style="{FONT};{FIT};display:flex;gap:12px;align-items:center;white-space:nowrap;'
        f'overflow:hidden;border-left:3px solid {COLORS[job.state]};padding:1px 0 1px 10px">{inside}</div>'
    )


def _traceback(job: Job) -> str:
    if not job.traceback:
        return ""
    text = job.traceback if len(job.traceback) <= TRACEBACK_LIMIT else f"…{job.traceback[-TRACEBACK_LIMIT:]}"
    text = "\n".join(one_line(line, 500) for line in text.splitlines())
    return (
        f'<details style="{FONT};padding-left:13px;margin:0"><summary style="color:{COLORS[job.state]};cursor:pointer;'
        f'{CUT}" title="the traceback">{escape(message(job))}</summary>'
        f'<pre style="{CODE};line-height:17px;margin:2px 0;white-space:pre-wrap;background:none">{escape(text)}</pre>'
        "</details>"
    )


def _kind(job: Job) -> str:
    return _text(job.job_type, 50) if job.name and job.name != job.job_type else ""


def _name(job: Job) -> str:
    return f"<b>{_text(title(job), 40)}</b>"


def _code(text: str) -> str:
    return f'<span style="{CODE}">{text}</span>'


def _time(job: Job) -> str:
    return duration(job.elapsed) if job.status.is_final else escape(running_time(job.elapsed, job.progress))


def _small_bar(job: Job) -> str:
    return bar(job.progress, 80) if job.progress is not None and job.state == "in_progress" else ""


def _message(job: Job) -> str:
    color = f"color:{COLORS[job.state]}" if job.state in ("failed", "lost", "timeout") else DIM
    words = escape(message(job))
    return f'<span style="{color}" title="{words}">{words}</span>'


def _text(text: str, limit: int) -> str:
    return text_cell(text, limit)
