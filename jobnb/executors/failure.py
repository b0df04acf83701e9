"""What is kept of an exception: its kind, one line, and a traceback that begins at the user's own code."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from jobnb.tracking.log import clean

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

MESSAGE_LIMIT = 1_000
TRACEBACK_LIMIT = 100_000
readable: Callable[[str], str] | None = None
"""Makes file names in a traceback readable; a notebook's hook, whose cells are files with numbers for names."""

_OURS = tuple(str(Path(__file__).parents[1] / room) for room in ("executors", "jupyter"))
_LIBRARY = str(Path(traceback.__file__).parent)


def users_traceback(trace: TracebackType | None) -> TracebackType | None:
    """The traceback from the first line that is not jobnb's or asyncio's own."""
    while trace is not None and _is_machinery(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    return trace


def summary(error: BaseException, redact: Callable[[str], str]) -> str:
    """One line without passwords: the exception's type and message, whatever its `__str__` does."""
    kind = type(error).__name__
    try:
        message = " ".join(str(error).split())
    except BaseException as second:
        message = f"(its message can't be shown: __str__ raised {type(second).__name__})"
    if isinstance(error, SystemExit):
        message = f"the job called sys.exit({message})"
    # before the cut, which could leave half a password that nobody recognises
    text = clean(redact(f"{kind}: {message}" if message else kind))
    return text if len(text) <= MESSAGE_LIMIT else f"{text[:MESSAGE_LIMIT]} … ({len(text):,} characters)"


def formatted(error: BaseException, redact: Callable[[str], str]) -> str:
    """The traceback as text without passwords, beginning at the user's code."""
    trace = users_traceback(error.__traceback__)
    try:
        lines = traceback.format_exception(type(error), error, trace, limit=-60)
        text = clean(redact("".join(lines)))
        text = text if readable is None else readable(text)
    except BaseException as second:
        frames = "".join(traceback.format_tb(trace, limit=-60))
        text = clean(redact(f"{frames}{summary(error, redact)} ({type(second).__name__} in it)\n"))
    if len(text) <= TRACEBACK_LIMIT:
        return text
    half = TRACEBACK_LIMIT // 2
    return f"{text[:half]}\n… {len(text) - TRACEBACK_LIMIT:,} characters were left out here …\n{text[-half:]}"


def _is_machinery(filename: str) -> bool:
    return filename.startswith((*_OURS, f"{_LIBRARY}/asyncio", f"{_LIBRARY}/contextvars"))
