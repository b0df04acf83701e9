"""`Members`: the handles of a group, each made when somebody asks for it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Generic, TypeVar, cast, overload

from jobnb.handle import JobHandle
from jobnb.waiting import SLICE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobnb.runtime import Runtime
    from jobnb.tracking.mapped import MappedJobs

R = TypeVar("R")


class Members(Sequence[JobHandle[R]], Generic[R]):
    """The handles of the jobs of one `map`; the same one for the same job, however often it is asked for.

    Args:
        runtime: where the jobs run.
        mapped: the jobs.
    """

    def __init__(self, runtime: Runtime, mapped: MappedJobs) -> None:
        self._runtime, self._mapped = runtime, mapped
        self._made: dict[int, JobHandle[R]] = {}

    def __len__(self) -> int:
        return len(self._mapped)

    @overload
    def __getitem__(self, index: int) -> JobHandle[R]: ...
    @overload
    def __getitem__(self, index: slice) -> list[JobHandle[R]]: ...
    def __getitem__(self, index: int | slice) -> JobHandle[R] | list[JobHandle[R]]:
        places = range(len(self))[index]
        return [self._handle(place) for place in places] if isinstance(places, range) else self._handle(places)

    def __iter__(self) -> Iterator[JobHandle[R]]:
        return map(self._handle, range(len(self)))

    def _handle(self, index: int) -> JobHandle[R]:
        if (made := self._made.get(index)) is None:
            execution = self._mapped.execution(index)
            made = self._made.setdefault(index, JobHandle(self._runtime, execution.job_id, execution))
        return made

    def wait(self, deadline: float) -> bool:
        """Wait for the end of all; True if it came before `deadline`, a time by the monotonic clock."""
        if self._runtime.is_left_behind:
            # after a fork they go on in the parent, and their rows tell
            return all(handle.wait(_left(deadline)) for handle in self)
        # in slices, so that an interrupt gets through
        while not self._mapped.over.wait(max(0.0, min(SLICE, deadline - time.monotonic()))):
            if time.monotonic() >= deadline:
                return False
        return True

    def done(self) -> bool:
        """True if all have ended."""
        if self._runtime.is_left_behind:
            return all(handle.done() for handle in self)
        return self._mapped.over.is_set()

    def value(self, index: int, deadline: float) -> R:
        """Wait for the end of one, until `deadline`, and return its value; raises what its handle's `result` does."""
        __tracebackhide__ = True
        if self._mapped.is_done(index):
            return cast("R", self._mapped.value(index))
        return self._handle(index).result(_left(deadline))

    def states(self) -> Iterator[str]:
        """The state of each, in a word."""
        for index in range(len(self)):
            yield "done" if self._mapped.is_done(index) else self._handle(index).state


def _left(deadline: float) -> float | None:
    return None if deadline == float("inf") else max(0.0, deadline - time.monotonic())
