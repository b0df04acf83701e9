"""`input()` and `getpass()` in a job: refused, for nobody sits in front of it.

Asked while some cell runs, the kernel would put the question under that cell, and the job would wait for an answer that
nothing can stop.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from jobnb.tracking.progress import current_execution

if TYPE_CHECKING:
    from collections.abc import Callable


def refuse_in_jobs(kernel: Any) -> None:
    """Have the kernel's `input` and `getpass` raise `EOFError` in jobs, as they do wherever there is no keyboard."""
    for name in ("raw_input", "getpass"):
        if callable(ask := getattr(kernel, name, None)):
            setattr(kernel, name, _only_in_cells(ask))


def _only_in_cells(ask: Callable[..., str]) -> Callable[..., str]:
    @functools.wraps(ask)
    def ask_in_cell(*args: Any, **kwargs: Any) -> str:
        if current_execution() is not None:
            raise EOFError("a job has no keyboard: ask in a cell, and give the answer to the job")
        return ask(*args, **kwargs)

    return ask_in_cell
