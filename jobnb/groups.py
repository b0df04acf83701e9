"""Several jobs at once: `JobGroup`, `JobList`, and the functions that wait for many."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, SupportsIndex, TypeVar, overload

from jobnb import frames
from jobnb.display import html, outlet, text
from jobnb.display.overview import overview_html, overview_of
from jobnb.display.words import as_of
from jobnb.errors import WaitTimeout
from jobnb.models import Job
from jobnb.waiting import SLICE, all_ended, deadline_after, left_until, stopped_waiting

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from uuid import UUID

    from jobnb.handle import JobHandle
    from jobnb.members import Members

R = TypeVar("R")


class Waited(NamedTuple, Generic[R]):
    """What `wait` returns, as `concurrent.futures.wait` does.

    Attributes:
        done: the jobs that have ended.
        not_done: the others.
    """

    done: set[JobHandle[R]]
    not_done: set[JobHandle[R]]


class JobGroup(Generic[R]):
    """The jobs of one `map`, in the order of its items, or a slice of them. Iterating gives handles."""

    def __init__(self, group_id: UUID, handles: Members[R]) -> None:
        self.group_id = group_id
        self._handles = handles

    def __len__(self) -> int:
        return len(self._handles)

    def __iter__(self) -> Iterator[JobHandle[R]]:
        return iter(self._handles)

    @overload
    def __getitem__(self, index: SupportsIndex) -> JobHandle[R]: ...
    @overload
    def __getitem__(self, index: slice) -> JobGroup[R]: ...
    def __getitem__(self, index: SupportsIndex | slice) -> JobHandle[R] | JobGroup[R]:
        if isinstance(index, slice):
            return JobGroup(self.group_id, self._handles[index])
        return self._handles[index]

    def results(self, timeout: float | None = None) -> JobResults[R]:
        """Wait for all and return their values, in order: a list, which shows itself as a table of what gave them.

        `group.results().to_pandas()` is that table; `group.to_pandas()` makes one without waiting, failures included.

        Raises:
            WaitTimeout: not all have ended after `timeout` seconds in all.
            Exception: what the first failed one (in order) raised.
        """
        __tracebackhide__ = True
        deadline = deadline_after(timeout)
        try:
            return JobResults(self._handles.values(deadline), self)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(stopped_waiting(self._handles)) from None

    def exceptions(self, timeout: float | None = None) -> list[BaseException | None]:
        """Wait for all and return what each raised; None for those that are done."""
        __tracebackhide__ = True
        deadline = deadline_after(timeout)
        try:
            return [handle.exception(left_until(deadline)) for handle in self._handles]
        except KeyboardInterrupt:
            raise KeyboardInterrupt(stopped_waiting(self._handles)) from None

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for all; True if they ended within `timeout` seconds."""
        __tracebackhide__ = True
        deadline = deadline_after(timeout)
        try:
            return self._handles.wait(deadline)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(stopped_waiting(self._handles)) from None

    def done(self) -> bool:
        """True if all have ended."""
        return self._handles.done()

    def cancel(self, *, force: bool = False) -> int:
        """Ask all unfinished ones to stop; returns how many were asked."""
        return sum(handle.cancel(force=force) for handle in self._handles)

    def counts(self) -> dict[str, int]:
        """How many are in each state."""
        return dict(Counter(self._handles.states()))

    def to_pandas(self) -> Any:
        """A row for each job, in order, as far as they are: its parameters, status, time (seconds) and value.

        A column `error` is added if one has failed. Times and values of unfinished jobs are missing.

        Raises:
            ImportError: pandas is not installed.
        """
        return frames.frame_of_calls(self._handles)

    def __await__(self) -> Any:
        return gather(*self._handles).__await__()

    def __repr__(self) -> str:
        return f"<JobGroup of {len(self)}: {text.counts_line(self.counts())}{'' if self.done() else f', {as_of()}'}>"

    def _repr_html_(self) -> str:
        view = overview_of([handle.job for handle in self._handles])
        return overview_html(view) if view.ended is not None else html.said_now(overview_html(view))

    def _ipython_display_(self) -> None:
        outlet.show(self._handles)


class JobResults(list[R]):
    """The values of a group's jobs, in order. A list; where pandas is installed it shows itself as a table.

    Args:
        values: the values.
        group: the jobs that gave them, in the same order.
    """

    def __init__(self, values: Iterable[R], group: JobGroup[R]) -> None:
        super().__init__(values)
        self._group = group

    def to_pandas(self) -> Any:
        """A row for each job: its parameters, status, time (seconds) and value.

        Raises:
            ImportError: pandas is not installed.
        """
        return self._group.to_pandas()

    def _repr_html_(self) -> str | None:
        try:
            frame = self.to_pandas()
        except ImportError:
            return None
        return frame._repr_html_()  # type: ignore[no-any-return]


class JobList(list[Job]):
    """Jobs read from the table; it shows itself as one, and so does a slice of it."""

    @overload
    def __getitem__(self, index: SupportsIndex) -> Job: ...
    @overload
    def __getitem__(self, index: slice) -> JobList: ...
    def __getitem__(self, index: SupportsIndex | slice) -> Job | JobList:
        found = super().__getitem__(index)
        return JobList(found) if isinstance(found, list) else found

    def __repr__(self) -> str:
        return text.job_table(self)

    def _repr_html_(self) -> str:
        heading = "1 job" if len(self) == 1 else f"{len(self):,} jobs{', newest first' * self._is_newest_first}"
        if any(not job.status.is_final for job in self):
            heading += f", {as_of()}"
        return html.job_table(self, heading if self else "")

    @property
    def _is_newest_first(self) -> bool:
        times = [job.created_at for job in self if job.created_at is not None]
        return times == sorted(times, reverse=True)

    def to_pandas(self) -> Any:
        """The jobs as a DataFrame, a row each; times are UTC, statuses categories.

        Raises:
            ImportError: pandas is not installed.
        """
        return frames.frame_of_jobs(self)


def as_completed(handles: Iterable[JobHandle[R]], timeout: float | None = None) -> Iterator[JobHandle[R]]:
    """Yield the jobs as they end.

    Raises:
        WaitTimeout: not all have ended after `timeout` seconds in all.
    """
    __tracebackhide__ = True
    deadline = deadline_after(timeout)
    ended: SimpleQueue[JobHandle[R]] = SimpleQueue()
    waiting = list(dict.fromkeys(handles))
    for one in waiting:
        one.add_done_callback(ended.put)
    for _ in waiting:
        if (handle := _next(ended, deadline, waiting)) is None:
            raise WaitTimeout(f"not all jobs have ended within {timeout:g} s; they go on")
        yield handle


def _next(ended: SimpleQueue[JobHandle[R]], deadline: float, waiting: list[JobHandle[R]]) -> JobHandle[R] | None:
    __tracebackhide__ = True
    try:
        while True:
            with contextlib.suppress(Empty):
                # in slices, so that an interrupt gets through
                return ended.get(timeout=max(0.0, min(SLICE, deadline - time.monotonic())))
            if time.monotonic() >= deadline:
                return None
    except KeyboardInterrupt:
        raise KeyboardInterrupt(stopped_waiting(waiting)) from None


def wait(handles: Iterable[JobHandle[R]], timeout: float | None = None) -> Waited[R]:
    """Wait until all have ended, or `timeout` seconds are over."""
    __tracebackhide__ = True
    deadline = deadline_after(timeout)
    outcome: Waited[R] = Waited(set(), set())
    handles = list(handles)
    try:
        for handle in handles:
            (outcome.done if handle.wait(left_until(deadline)) else outcome.not_done).add(handle)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(stopped_waiting(handles)) from None
    return outcome


async def gather(*handles: JobHandle[R]) -> list[R]:
    """Wait for all without blocking the loop; the values in order, or what the first one that failed raised.

    An interrupt or a cancelled `await` stops the waiting; the jobs go on.
    """
    __tracebackhide__ = True
    await all_ended(handles, until_failure=True)
    for handle in handles:
        if handle.state not in ("scheduled", "in_progress", "done"):
            await handle
    return [await handle for handle in handles]
