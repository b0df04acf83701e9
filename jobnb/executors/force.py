"""Stopping a function that does not listen: an exception raised in its thread from outside, and only inside of it.

CPython raises such an exception at the thread's next bytecode, wherever that is by then. Raised a moment too late it
would hit the pool's own code and end the thread for good (measured: in 32 of 32 trials), so it is raised only while the
function runs, and whatever is still pending when the function has ended is taken back.
"""

from __future__ import annotations

import ctypes
import threading
from typing import TYPE_CHECKING, Any

from jobnb.errors import StopRequested

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobnb.tracking.execution import Execution

_raising = threading.Lock()


def call_stoppable(execution: Execution, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Call `fn(*args, **kwargs)`; meanwhile `force_stop` works."""
    try:
        execution.stoppable = threading.get_ident()
        return fn(*args, **kwargs)
    finally:
        leave(execution)


def leave(execution: Execution) -> None:
    """The function has ended: from here on nothing is raised in this thread. Safe to call twice."""
    while True:
        try:
            execution.stoppable = None
            if execution.is_forced:
                with _raising:
                    _raise_in(threading.get_ident(), None)
        except StopRequested:
            continue  # it was on its way
        return


def force_stop(execution: Execution) -> bool:
    """Raise `StopRequested` in the job's thread while its function runs; True if it does.

    Python code stops at once, `finally` blocks are run and may be cut short; a call into C (`time.sleep`, a query, a
    NumPy operation) has to return first. The job has to have been asked to stop before.
    """
    with _raising:
        execution.is_forced = True  # before the look: who leaves later sees it and takes back what is pending
        thread = execution.stoppable
        return thread is not None and _raise_in(thread, StopRequested)


def _raise_in(thread: int, error: type[BaseException] | None) -> bool:
    raised = None if error is None else ctypes.py_object(error)
    return bool(ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), raised))
