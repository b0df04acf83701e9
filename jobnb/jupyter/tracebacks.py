"""Tracebacks in cells show the user's own lines: the frames of jobnb between them, and below them, are left out.

IPython hides frames that ask for it (`__tracebackhide__`), but says so in a line of its own, and never hides the last
one. `%debug` still sees all frames.
"""

from __future__ import annotations

import asyncio
import functools
from pathlib import Path
from types import TracebackType
from typing import Any

import jobnb
from jobnb.errors import JobnbError

_OURS = str(Path(jobnb.__file__).parent)
_EXAMPLES = str(Path(_OURS, "demo_jobs.py"))
_ASYNCIO = str(Path(asyncio.__file__).parent)


def install(formatter: Any) -> None:
    """Make IPython's formatter of tracebacks leave our frames out.

    Args:
        formatter: the shell's `InteractiveTB`.
    """
    structured_traceback = formatter.structured_traceback

    @functools.wraps(structured_traceback)
    def without_ours(etype: Any, evalue: Any = None, etb: Any = None, *args: Any, **kwargs: Any) -> Any:
        return structured_traceback(etype, evalue, without_our_frames(evalue, etb), *args, **kwargs)

    formatter.structured_traceback = without_ours


def without_our_frames(error: object, trace: TracebackType | None) -> TracebackType | None:
    """A traceback without the frames of jobnb, and without those of asyncio that it called.

    An error that is none of ours and was raised by our own code is a fault of ours: then nothing is left out.
    """
    frames = _frames(trace)
    kept, previous_is_ours = [], False
    for frame in frames:
        name = frame.tb_frame.f_code.co_filename
        ours = (name.startswith(_OURS) and name != _EXAMPLES) or (previous_is_ours and name.startswith(_ASYNCIO))
        if not ours:
            kept.append(frame)
        previous_is_ours = ours
    is_fault = previous_is_ours and not isinstance(error, JobnbError | KeyboardInterrupt | asyncio.CancelledError)
    # the first frame is IPython's own, which it leaves out by itself
    return trace if is_fault or len(kept) < 2 or len(kept) == len(frames) else _chain(kept)


def _frames(trace: TracebackType | None) -> list[TracebackType]:
    frames = []
    while trace is not None:
        frames.append(trace)
        trace = trace.tb_next
    return frames


def _chain(frames: list[TracebackType]) -> TracebackType | None:
    chain: TracebackType | None = None
    for frame in reversed(frames):
        chain = TracebackType(chain, frame.tb_frame, frame.tb_lasti, frame.tb_lineno)
    return chain
