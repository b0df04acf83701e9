"""How jobs and reports are written for people and programs: a table, JSON Lines, CSV. Pure functions."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

from rich.cells import cell_len, set_cell_size

from jobnb.display.words import SYMBOLS, WORDS, duration
from monitor.terminal import safe_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from monitor.model import JobRow

Format = Literal["table", "json", "csv"]

_COLORS = {"scheduled": "2", "in_progress": "34", "done": "32", "failed": "31", "cancelled": "33", "timeout": "31",
           "lost": "35"}  # fmt: skip
# what moves a cursor, changes direction or hides; JSON and CSV readers get it back, terminals do not
_CONTROLS = re.compile(
    "[\x7f-\x9f\u00ad\u061c\u115f\u1160\u3164\uffa0\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

JOB_FIELDS = (
    "job_id", "state", "type", "name", "progress", "message", "created_at", "started_at", "finished_at", "seconds",
    "waited", "attempt", "max_attempts", "kernel", "kernel_id", "kernel_gone", "cancel_requested", "retry_of",
    "group_id",
)  # fmt: skip
"""The members of a job in JSON, and the columns of CSV."""
JOB_COLUMNS = {
    "state": 11,
    "id": 8,
    "type": 16,
    "name": 24,
    "created (UTC)": 14,
    "time": 7,
    "kernel": 16,
    "message": 60,
}
"""The columns of the table, with their widths where lines have no end."""


def job_record(row: JobRow, now: datetime) -> dict[str, Any]:
    """A job as `JOB_FIELDS`; times are UTC, `seconds` and `waited` are lengths of time."""
    seconds, waited = row.seconds(now), row.waited(now)
    return {
        "job_id": row.job_id,
        "state": row.state,
        "type": row.job_type,
        "name": row.name,
        "progress": None if row.progress is None else round(row.progress, 4),
        "message": row.message,
        "created_at": row.created_at,
        "started_at": row.started_at,
        "finished_at": row.finished_at,
        "seconds": None if seconds is None else round(seconds, 3),
        "waited": None if waited is None else round(waited, 3),
        "attempt": row.attempt,
        "max_attempts": row.max_attempts,
        "kernel": row.kernel,
        "kernel_id": row.kernel_id,
        "kernel_gone": row.kernel_gone,
        "cancel_requested": row.cancel_requested,
        "retry_of": row.retry_of,
        "group_id": row.group_id,
    }


def job_cells(row: JobRow, now: datetime) -> tuple[str, ...]:
    """A job as `JOB_COLUMNS`."""
    created = row.created_at.strftime("%m-%d %H:%M:%S") if row.created_at else ""
    progress = f"{row.progress:.0%} " if row.progress is not None and row.state == "in_progress" else ""
    asked = "asked to stop · " if row.cancel_requested and row.is_active else ""
    return (
        f"{SYMBOLS[row.state]} {WORDS.get(row.state, row.state)}",
        row.short_id,
        safe_line(row.job_type, 50),
        safe_line(row.title, 80),
        created,
        duration(row.seconds(now)),
        safe_line(row.kernel, 60),
        progress + asked + safe_line(row.message, 200),
    )


def report_record(row: Any, **more: Any) -> dict[str, Any]:
    """A row of a report, a NamedTuple, as its members and some more; lengths of time to a thousandth of a second."""
    return {
        name: round(value, 3) if isinstance(value, float) else value for name, value in row._asdict().items()
    } | more


def as_json(record: dict[str, Any]) -> str:
    """One object on one line, with nothing in it that a terminal would act on."""
    text = json.dumps(record, ensure_ascii=False, default=_plain, separators=(",", ":"))
    return _CONTROLS.sub(lambda found: json.dumps(found[0])[1:-1], text)


def as_csv(values: Iterable[Any]) -> str:
    """One line of CSV that a spreadsheet takes for text and numbers, never for a formula."""
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow([_cell(value) for value in values])
    return out.getvalue()


def as_table_line(cells: Sequence[str], widths: Sequence[int], total: int | None) -> str:
    """One line of a table, in columns; cut after `total` terminal cells."""
    columns = [_fit(cell, width) for cell, width in zip(cells[:-1], widths[:-1], strict=True)]
    line = "  ".join([*columns, cells[-1]]).rstrip()
    return line if total is None or cell_len(line) <= total else f"{set_cell_size(line, total - 1)}…"


def colored(line: str, state: str) -> str:
    """A line of a table with its first column in the state's colour."""
    width = len(SYMBOLS[state]) + 1 + len(WORDS.get(state, state))
    return f"\x1b[{_COLORS[state]}m{line[:width]}\x1b[0m{line[width:]}"


def _fit(cell: str, width: int) -> str:
    size = cell_len(cell)
    return cell + " " * (width - size) if size <= width else f"{set_cell_size(cell, width - 1)}…"


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, UUID):
        return str(value)
    return list(value) if isinstance(value, (tuple, set)) else str(value)


def _cell(value: object) -> object:
    if value is None or isinstance(value, bool):
        return "" if value is None else str(value).lower()
    if isinstance(value, (int, float)):
        return value
    if isinstance(value, (list, tuple, dict)):
        value = ";".join(f"{name}={value[name]}" if isinstance(value, dict) else str(name) for name in value)
    text = safe_line(str(_plain(value)) if not isinstance(value, str) else value, 1_000)
    return f"'{text}" if text.startswith(_FORMULA) else text
