"""`contextlib.redirect_stdout` and `redirect_stderr` within a job redirect that job's output, and nobody else's.

The standard library's put another stream in the place of `sys.stdout` for the whole process: a job that captures what
a library prints would swallow what cells and other jobs print meanwhile.
"""

from __future__ import annotations

import contextlib
import contextvars
from typing import TYPE_CHECKING, Any

from jobnb.tracking.execution import current

if TYPE_CHECKING:
    from collections.abc import Callable

_targets: contextvars.ContextVar[dict[str, Any] | None] = contextvars.ContextVar("jobnb_redirected", default=None)


def target(name: str) -> Any:
    """Where this job's `stdout` or `stderr` goes; None if it is not redirected."""
    targets = _targets.get()
    return None if targets is None else targets.get(name)


def install(swapped: Callable[[], object]) -> None:
    """Make the two know jobs; once for the process.

    Args:
        swapped: called when somebody who is no job has put another stream in place.
    """
    for redirect in (contextlib.redirect_stdout, contextlib.redirect_stderr):
        # private names, the same since Python 3.5
        if hasattr(redirect, "_stream") and hasattr(redirect(None), "_new_target"):
            _wrap(redirect, swapped)


def _wrap(redirect: Any, swapped: Callable[[], object]) -> None:
    enter, leave = redirect.__enter__, redirect.__exit__

    def enter_in_job(self: Any) -> Any:
        if current.get() is None:
            new = enter(self)
            swapped()
            return new
        targets = {**(_targets.get() or {}), self._stream: self._new_target}
        self.__dict__.setdefault("jobnb_tokens", []).append(_targets.set(targets))
        return self._new_target

    def leave_in_job(self: Any, *error: Any) -> Any:
        if not self.__dict__.get("jobnb_tokens"):
            return leave(self, *error)
        _targets.reset(self.__dict__["jobnb_tokens"].pop())
        return None

    redirect.__enter__, redirect.__exit__ = enter_in_job, leave_in_job
