"""What a running function calls: `progress`, `track`, `check_cancelled`, `current_job`.

All of them do nothing outside of a job, so that the same function runs with and without jobnb. A call costs about as
much as setting an attribute; a sweep writes the newest value a few times a second.
"""

from __future__ import annotations

import math
from collections.abc import Sized
from typing import TYPE_CHECKING, TypeVar

from jobnb.errors import InvalidInput
from jobnb.tracking.execution import current

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from jobnb.tracking.execution import Execution

T = TypeVar("T")


def progress(fraction: float | None, message: str = "") -> None:
    """Say how far this job is.

    Args:
        fraction: done so far, in [0, 1]; values outside are moved to the nearer end. It may go down. None leaves it.
        message: what is being done, in a few words; empty leaves the last one.

    Raises:
        InvalidInput: `fraction` is no number.
        StopRequested: somebody asked this job to stop.
    """
    execution = current.get()
    if execution is None:
        return
    if execution.stop_kind is not None:
        execution.check_stop()
    if fraction is not None:
        # what the function says itself wins over bars that are found in it
        execution.has_spoken = True
        execution.fraction = _fraction(fraction)
    if message:
        execution.message = str(message)


def track(iterable: Iterable[T], total: int | None = None, description: str = "") -> Iterator[T]:
    """Iterate, and report how far the iteration is.

    Args:
        iterable: anything to loop over.
        total: how many items there are; taken from `len()` where there is one, otherwise no fraction is reported.
        description: what is being done; shown with the count behind it.

    Raises:
        StopRequested: somebody asked this job to stop; raised between two items.
    """
    if total is None and isinstance(iterable, Sized):
        total = len(iterable)
    label = f"{description} " if description else ""
    if (execution := current.get()) is not None:
        execution.has_spoken = True
    for count, item in enumerate(iterable):
        progress(count / total if total else None, f"{label}{count}/{total}" if total else f"{label}{count}")
        yield item
    if total:
        progress(1.0, f"{label}{total}/{total}")


def check_cancelled() -> None:
    """Stop here if this job was cancelled or has run out of time.

    Raises:
        StopRequested: it is to stop. A `BaseException`: `except Exception` does not catch it, `finally` runs.
    """
    execution = current.get()
    if execution is not None:
        execution.check_stop()


def current_execution() -> Execution | None:
    """The job whose code this is; None outside of jobs."""
    return current.get()


def _fraction(value: object) -> float:
    try:
        number = float(value)  # type: ignore[arg-type] # anything that is no number raises
    except (TypeError, ValueError):
        number = math.nan
    if math.isnan(number):
        raise InvalidInput(f"fraction is {value!r:.80}: give a number from 0 to 1, or None", argument="fraction")
    return min(1.0, max(0.0, number))
