"""`Members`: the handles of a group, each made when somebody asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Generic, SupportsIndex, TypeVar, cast, overload

from jobnb.handle import JobHandle
from jobnb.tracking.progress import current_execution
from jobnb.waiting import left_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobnb.runtime import Runtime
    from jobnb.tracking.mapped import MappedJobs

R = TypeVar("R")


class Members(Sequence[JobHandle[R]], Generic[R]):
    """The handles of the jobs of one `map`, or of some of them; the same one for the same job, however often asked for.

    Args:
        runtime: where the jobs run.
        mapped: the jobs.
        places: which of them.
        made: the handles that there are already, by the places of their jobs.
    """

    def __init__(
        self, runtime: Runtime, mapped: MappedJobs, places: range, made: dict[int, JobHandle[R]] | None = None
    ) -> None:
        self._runtime, self._mapped, self._places = runtime, mapped, places
        self._made: dict[int, JobHandle[R]] = {} if made is None else made

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: SupportsIndex) -> JobHandle[R]: ...
    @overload
    def __getitem__(self, index: slice) -> Members[R]: ...
    def __getitem__(self, index: SupportsIndex | slice) -> JobHandle[R] | Members[R]:
        if isinstance(index, slice):
            return Members(self._runtime, self._mapped, self._places[index], self._made)
        return self._handle(self._places[index])

    def __iter__(self) -> Iterator[JobHandle[R]]:
        return map(self._handle, self._places)

    def wait(self, deadline: float) -> bool:
        """Wait for the end of all; True if it came before `deadline`, a time by the monotonic clock."""
        # after a fork they go on in the parent, and their rows tell; in a job the handle tells why it may take for ever
        if len(self) < len(self._mapped) or self._runtime.is_left_behind or current_execution() is not None:
            return all(
                self._has_ended(place) or self._handle(place).wait(left_until(deadline)) for place in self._places
            )
        return self._mapped.over.wait(left_until(deadline))

    def done(self) -> bool:
        """True if all have ended."""
        return all(self._has_ended(place) or self._handle(place).done() for place in self._places)

    def values(self, deadline: float) -> Iterator[R]:
        """The value of each, in order, waited for until `deadline`; raises what its handle's `result` does."""
        __tracebackhide__ = True
        for place in self._places:
            if self._mapped.is_done(place):
                yield cast("R", self._mapped.value(place))
            else:
                yield self._handle(place).result(left_until(deadline))

    def states(self) -> Iterator[str]:
        """The state of each, in a word."""
        for place in self._places:
            yield "done" if self._mapped.is_done(place) else self._handle(place).state

    def _has_ended(self, place: int) -> bool:
        return self._mapped.is_done(place) or (self._mapped.over.is_set() and not self._runtime.is_left_behind)

    def _handle(self, place: int) -> JobHandle[R]:
        if (made := self._made.get(place)) is None:
            execution = self._mapped.execution(place)
            made = self._made.setdefault(place, JobHandle(self._runtime, execution.job_id, execution))
        return made
