"""Several jobs at once: `JobGroup`, `JobList`, and the functions that wait for many."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from jobnb.display import html, text
from jobnb.errors import WaitTimeout
from jobnb.handle import SLICE, JobHandle
from jobnb.models import Job, check_seconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from uuid import UUID

R = TypeVar("R")

SHOWN = 20
"""How many jobs of a group are shown before the rest is only counted."""


class Waited(NamedTuple, Generic[R]):
    """What `wait` returns, as `concurrent.futures.wait` does.

    Attributes:
        done: the jobs that have ended.
        not_done: the others.
    """

    done: set[JobHandle[R]]
    not_done: set[JobHandle[R]]


class JobGroup(Generic[R]):
    """The jobs of one `map`, in the order of its items. Iterating gives handles."""

    def __init__(self, group_id: UUID, handles: Sequence[JobHandle[R]]) -> None:
        self.group_id = group_id
        self._handles = list(handles)

    def __len__(self) -> int:
        return len(self._handles)

    def __iter__(self) -> Iterator[JobHandle[R]]:
        return iter(self._handles)

    def __getitem__(self, index: int) -> JobHandle[R]:
        return self._handles[index]

    def results(self, timeout: float | None = None) -> list[R]:
        """Wait for all and return their values, in order.

        Raises:
            WaitTimeout: not all have ended after `timeout` seconds in all.
            Exception: what the first failed one (in order) raised.
        """
        deadline = _deadline(timeout)
        return [handle.result(_left(deadline)) for handle in self._handles]

    def exceptions(self, timeout: float | None = None) -> list[BaseException | None]:
        """Wait for all and return what each raised; None for those that are done."""
        deadline = _deadline(timeout)
        return [handle.exception(_left(deadline)) for handle in self._handles]

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for all; True if they ended within `timeout` seconds."""
        return not wait(self._handles, timeout).not_done

    def done(self) -> bool:
        """True if all have ended."""
        return all(handle.done() for handle in self._handles)

    def cancel(self, *, force: bool = False) -> int:
        """Ask all unfinished ones to stop; returns how many were asked."""
        return sum(handle.cancel(force=force) for handle in self._handles)

    def counts(self) -> dict[str, int]:
        """How many are in each state."""
        return dict(Counter(handle.job.state for handle in self._handles))

    def __await__(self) -> Any:
        return gather(*self._handles).__await__()

    def __repr__(self) -> str:
        return f"<JobGroup of {len(self)}: {text.counts_line(self.counts())}>"

    def _repr_html_(self) -> str:
        jobs = [handle.job for handle in self._handles]
        # failures first: they are what one looks for
        jobs.sort(key=lambda job: _INTEREST.get(job.state, 1))
        heading = f"{len(jobs):,} jobs: {text.counts_line(self.counts())}"
        more = f" (the first {SHOWN} of them)" if len(jobs) > SHOWN else ""
        return html.job_table(jobs[:SHOWN], heading + more)


_INTEREST = {
    "failed": 0,
    "timeout": 0,
    "lost": 0,
    "cancelled": 1,
    "in_progress": 1,
    "scheduled": 2,
    "done": 3,
}


class JobList(list[Job]):
    """Jobs read from the table; shows itself as one."""

    def __repr__(self) -> str:
        return text.job_table(self)

    def _repr_html_(self) -> str:
        return html.job_table(self)

    def to_pandas(self) -> Any:
        """The jobs as a DataFrame, a row each; times are UTC, statuses categories.

        Raises:
            ImportError: pandas is not installed.
        """
        import pandas as pd

        left_out = {"result_order", "traceback", "source"}
        columns = [name for name in Job.model_fields if name not in left_out]
        frame = pd.DataFrame([job.model_dump(include=set(columns)) for job in self], columns=columns)
        for name in ("created_at", "started_at", "finished_at", "cancel_requested_at"):
            frame[name] = pd.to_datetime(frame[name], utc=True)
        for name in ("status", "error_kind", "job_type"):
            frame[name] = frame[name].map(str, na_action="ignore").astype("category")
        for name in ("progress", "timeout_s", "duration_s"):
            frame[name] = frame[name].astype("float64")
        return frame


def as_completed(handles: Iterable[JobHandle[R]], timeout: float | None = None) -> Iterator[JobHandle[R]]:
    """Yield the jobs as they end.

    Raises:
        WaitTimeout: not all have ended after `timeout` seconds in all.
    """
    deadline = _deadline(timeout)
    ended: SimpleQueue[JobHandle[R]] = SimpleQueue()
    waiting = list(dict.fromkeys(handles))
    for handle in waiting:
        handle.add_done_callback(ended.put)
    for _ in waiting:
        while True:
            try:
                # in slices, so that an interrupt gets through
                handle = ended.get(timeout=max(0.0, min(SLICE, deadline - time.monotonic())))
            except Empty:
                if time.monotonic() >= deadline:
                    raise WaitTimeout(f"not all jobs have ended within {timeout:g} s; they go on") from None
                continue
            yield handle
            break


def wait(handles: Iterable[JobHandle[R]], timeout: float | None = None) -> Waited[R]:
    """Wait until all have ended, or `timeout` seconds are over."""
    deadline = _deadline(timeout)
    outcome: Waited[R] = Waited(set(), set())
    for handle in handles:
        (outcome.done if handle.wait(max(0.0, deadline - time.monotonic())) else outcome.not_done).add(handle)
    return outcome


async def gather(*handles: JobHandle[R]) -> list[R]:
    """Wait for all without blocking the loop; the values in order, or the first exception."""
    return await asyncio.gather(*[_await(handle) for handle in handles])


async def _await(handle: JobHandle[R]) -> R:
    return await handle


def _deadline(timeout: float | None) -> float:
    return float("inf") if timeout is None else time.monotonic() + check_seconds("timeout", timeout)


def _left(deadline: float) -> float | None:
    return None if deadline == float("inf") else max(0.001, deadline - time.monotonic())
