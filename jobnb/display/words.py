"""The words, symbols and colours of a job, the same wherever one is shown."""

from __future__ import annotations

import math
import unicodedata
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobnb.models import Job

SYMBOLS = {
    "scheduled": "○",
    "in_progress": "◐",
    "done": "✓",
    "failed": "✗",
    "cancelled": "⊘",
    "timeout": "⏱",
    "lost": "?",
}
WORDS = {"in_progress": "running", "timeout": "timed out"}
COLORS = {
    "scheduled": "#7a7a7a",
    "in_progress": "#2f7fd6",
    "done": "#1d8a45",
    "failed": "#dc3b3b",
    "cancelled": "#a8740b",
    "timeout": "#dc3b3b",
    "lost": "#9b59d0",
}
"""Of a middle lightness, so that they are read on white and on black alike."""


def state_word(job: Job) -> str:
    """The state in a word for people."""
    return WORDS.get(job.state, job.state)


def duration(seconds: float | None) -> str:
    """A length of time, as short as it can be said: `0.3 s`, `42 s`, `3:07`, `2:05:00`."""
    if seconds is None:
        return ""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def clock(seconds: float) -> str:
    """A length of time as a clock shows it: `0:42`, `3:07`, `2:05:00`."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def percent(fraction: float) -> str:
    """A fraction in whole percent; 100 % only when it is whole."""
    return f"{int(fraction * 100 + 1e-9)}%"


def running_time(elapsed: float | None, fraction: float | None) -> str:
    """How long it has been running, and an estimate of what is left once there is something to estimate from."""
    if elapsed is None:
        return ""
    if not fraction or fraction >= 1 or elapsed < 1:
        return clock(elapsed)
    return f"{clock(elapsed)} < ≈{clock(math.ceil(elapsed * (1 - fraction) / fraction))}"


def moment(at: datetime | None) -> str:
    """A point in time to the minute, in the local zone of this process, with the zone's name."""
    return at.astimezone().strftime("%Y-%m-%d %H:%M %Z").rstrip() if at is not None else ""


def as_of() -> str:
    """What makes words about something that goes on true for ever: when they were said."""
    return datetime.now().astimezone().strftime("as of %H:%M:%S")


def title(job: Job) -> str:
    """What a person calls the job."""
    return job.name or job.job_type


def one_line(text: str, limit: int = 200) -> str:
    """`text` on one line, with nothing in it that moves a cursor, changes direction or hides.

    Control characters become visible symbols; marks that pile up on one letter are cut after three.
    """
    shown, marks = [], 0
    for character in text[: limit * 4]:
        category = unicodedata.category(character)
        marks = marks + 1 if category == "Mn" else 0
        if marks > 3:
            continue
        shown.append(_visible(character, category))
    line = "".join(shown)
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _visible(character: str, category: str) -> str:
    if character == "\n":
        return "␊"
    if category == "Cc":
        return chr(0x2400 + ord(character)) if ord(character) < 32 else "␡"
    return "·" if category in ("Cf", "Cs", "Zl", "Zp", "Co") else character


def message(job: Job) -> str:
    """What there is to say beside the state: how it failed, or what it is doing."""
    text = job.error_message if job.state not in ("scheduled", "in_progress", "done") else job.progress_message
    if job.state == "done" and job.result_error:
        text = f"value not stored: {job.result_error}"
    elif job.state == "in_progress" and job.cancel_requested_at is not None:
        text = f"asked to stop · {text or ''}".rstrip(" ·")
    return one_line(text or "")
