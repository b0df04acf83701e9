"""Waiting for jobs so that an interrupt gets through, stops the waiting and not the jobs, and says so."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any, Protocol

from jobnb.checks import check_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
    from uuid import UUID

SLICE = 0.1
"""Seconds of one wait; between two of them an interrupt gets through."""


class Waitable(Protocol):
    """What is asked of a `JobHandle` here."""

    @property
    def job_id(self) -> UUID:
        """The job's id."""

    @property
    def state(self) -> str:
        """Its state in a word, as last seen."""

    @property
    def is_here(self) -> bool:
        """True if it runs in this process."""

    def add_done_callback(self, fn: Callable[[Any], object], /) -> None:
        """Call `fn(self)` at its end."""

    def ended_elsewhere(self) -> Coroutine[Any, Any, None]:
        """Wait for its end by reading the row."""


def deadline_after(timeout: float | None) -> float:
    """When a waiting that begins now gives up, by the monotonic clock; infinity if never. 0 only looks.

    Raises:
        InvalidInput: not a number of seconds.
    """
    if timeout is None:
        return float("inf")
    is_look = isinstance(timeout, (int, float)) and not isinstance(timeout, bool) and timeout == 0
    return time.monotonic() + (0.0 if is_look else check_seconds("timeout", timeout))


def pauses() -> Iterator[float]:
    """Seconds between two looks at the row of a job that runs elsewhere: more and more, up to one."""
    pause = 0.05
    while True:
        yield pause
        pause = min(pause * 1.5, 1.0)


def left_until(deadline: float) -> float | None:
    """Seconds from now to a `deadline_after`; None if there is none."""
    return None if deadline == float("inf") else max(0.0, deadline - time.monotonic())


def stopped_waiting(handles: Iterable[Waitable]) -> str:
    """What to tell somebody who interrupted the waiting: what goes on, and how to stop it."""
    going_on = [handle for handle in handles if handle.state in ("scheduled", "in_progress")]
    if len(going_on) == 1:
        short = going_on[0].job_id.hex[-8:]
        return f"stopped waiting; job {short} goes on (jobnb.get('{short}').cancel() stops it)"
    return f"stopped waiting; {len(going_on):,} jobs go on (their cancel() stops them)"


async def all_ended(handles: Sequence[Waitable], *, until_failure: bool = False) -> None:
    """Wait for the end of all without blocking the loop.

    Args:
        handles: the jobs.
        until_failure: come back as soon as one has failed.

    Raises:
        CancelledError: the waiting was interrupted or cancelled; the jobs go on.
        DatabaseUnavailable: a row of a job that runs elsewhere can't be read now.
    """
    __tracebackhide__ = True
    waiter = _Waiter(handles, until_failure)
    try:
        await waiter.wait()
    except asyncio.CancelledError as error:
        if not error.args:
            error.args = (stopped_waiting(handles),)
        raise
    finally:
        waiter.stop()


class _Waiter:
    """Counts the ends of several jobs, in the loop it is made in."""

    def __init__(self, handles: Sequence[Waitable], until_failure: bool) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        self._left, self._until_failure = len(handles), until_failure
        self._watchers = [asyncio.ensure_future(self._watch(handle)) for handle in handles if not handle.is_here]
        for handle in handles:
            if handle.is_here:
                handle.add_done_callback(self._tell)
        if not handles:
            self._over.set()

    async def wait(self) -> None:
        __tracebackhide__ = True
        while not self._over.is_set():
            # the tick: a kernel's interrupt is noticed only when something wakes the loop
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SLICE):
                    await self._over.wait()
        for watcher in self._watchers:
            if watcher.done():
                watcher.result()

    def stop(self) -> None:
        for watcher in self._watchers:
            watcher.cancel()

    async def _watch(self, handle: Waitable) -> None:
        try:
            await handle.ended_elsewhere()
        finally:
            # a row that can't be read ends the waiting too, with the reason
            self._one_ended(handle)

    def _tell(self, handle: Waitable) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits there any more
            self._loop.call_soon_threadsafe(self._one_ended, handle)

    def _one_ended(self, handle: Waitable) -> None:
        self._left -= 1
        if self._left <= 0 or (self._until_failure and handle.state != "done"):
            self._over.set()
