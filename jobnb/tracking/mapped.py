"""`MappedJobs`: the jobs of one `map`; each becomes an `Execution` when its turn comes, or when somebody asks for it.

Objects that live as long as the group, for every job of it, would cost the garbage collector more than the jobs cost
themselves (measured: half the time of a map of short functions). So a job that is done, with nothing to tell but its
times and its value, leaves just those behind, and is an `Execution` again if somebody asks later.
"""

from __future__ import annotations

import itertools
from array import array
from typing import TYPE_CHECKING, Any

from jobnb.ids import IdRange
from jobnb.latch import Latch
from jobnb.recorder.events import Event, EventKind
from jobnb.tracking.execution import Execution

if TYPE_CHECKING:
    import contextvars
    from collections.abc import Callable, Iterator, Sequence

    from jobnb.tracking.work import Work


QUICK = 0.00002
"""Seconds; what it costs to run a job at all."""


class MappedJobs:
    """The jobs of one `map`, in the order of its items.

    Args:
        work: how they are run; its `shared` says their group and when they were accepted.
        fn: the function.
        calls: what it is called with.
        created: when they were accepted, in seconds since 1970, UTC.
        context: the context variables at that moment.
        owner: the service that started them.

    Attributes:
        ids: their ids.
        owner: the service that started them.
        over: set when all have ended.
    """

    _pace = 3 * QUICK

    def __init__(
        self,
        work: Work,
        fn: Callable[..., Any],
        calls: Sequence[tuple[Any, ...]],
        created: float,
        context: contextvars.Context,
        owner: object,
    ) -> None:
        self._work, self._fn, self._calls, self._context, self.owner = work, fn, calls, context, owner
        self._created = created
        self.ids = IdRange.new(len(calls))
        self._made: dict[int, Execution] = {}
        self._let_go = bytearray(len(calls))
        self._values: list[Any] = [None] * len(calls)
        self._started, self._finished, self._durations = (array("d", bytes(8 * len(calls))) for _ in range(3))
        self._begun, self._missed = 0, list[int]()
        # counters, whose `next` no other thread can interrupt: a lock would have to survive forks and destructors;
        # after an interrupt the second may have counted one twice
        self._turns, self._ends = itertools.count(), itertools.count(1)
        self._ended = bytearray(len(calls))
        self.over = Latch()
        if not calls:
            self.over.set()

    def __len__(self) -> int:
        return len(self._calls)

    @property
    def are_quick(self) -> bool:
        """True if the last ones that ended took less than `QUICK`."""
        return self._pace < QUICK

    def slow_down(self) -> None:
        """One takes longer than those before it."""
        self._pace = 3 * QUICK

    @property
    def accepted(self) -> Event:
        """The event that tells of their acceptance, all in one."""
        return Event(
            EventKind.MAP, self.ids.text(0), 1, '"status":"scheduled"', self._work.shared, jobs=len(self._calls)
        )

    def next(self) -> Execution | None:
        """The next one, to be run; None if all have had their turn."""
        index = self._missed.pop() if self._missed else next(self._turns)
        if index >= len(self._calls):
            return None
        self._begun = index + 1
        try:
            return self._made.get(index) or self._made.setdefault(index, self._new(index))
        except BaseException:
            self._missed.append(index)  # out of memory, say: it has its turn later
            raise

    def has_more(self) -> bool:
        """True if some have not had their turn."""
        return self._begun < len(self._calls) or bool(self._missed)

    def execution(self, index: int) -> Execution:
        """One of them, for somebody who keeps it."""
        execution = self._made.get(index) or self._made.setdefault(
            index, self._again(index) if self._let_go[index] else self._new(index)
        )
        execution.is_kept = True
        # it may have been let go at this very moment
        execution = self._made.setdefault(index, execution)
        if self._let_go[index] and not execution.is_final:
            # it had its turn elsewhere, and was let go, while this one was made
            self._end_again(execution)
        return execution

    def find(self, job_id: str) -> Execution | None:
        """The one with this id."""
        index = self.ids.index(job_id)
        return None if index is None else self.execution(index)

    def unfinished(self) -> Iterator[Execution]:
        """Those that have not ended."""
        for index in range(len(self)):
            if not self._let_go[index] and not (execution := self.execution(index)).is_final:
                yield execution

    def is_done(self, index: int) -> bool:
        """True if it is done and was let go: then `value` has its value, and nobody needs an `Execution`."""
        return bool(self._let_go[index])

    def value(self, index: int) -> Any:
        """What the function returned, if `is_done`."""
        return self._values[index]

    def ended(self, execution: Execution) -> bool:
        """One of them has ended; True if all have. Safe to call again after an interrupt, which came at any step."""
        index = execution.index
        if (duration := execution.duration) is not None:
            # on average, and a single one counts for little: its thread may just have lost its turn
            self._pace += (min(duration, 3 * QUICK) - self._pace) / 8
        if execution.is_plain and not execution.is_kept:
            assert execution.started is not None
            assert execution.finished is not None
            assert execution.duration is not None
            self._values[index] = execution.value
            self._started[index], self._finished[index] = execution.started, execution.finished
            self._durations[index] = execution.duration
            self._let_go[index] = True
            if self._made.get(index) is execution:
                del self._made[index]
        # marked before it is counted: what an interrupt came between is counted when it is told again
        self._ended[index] = True
        if next(self._ends) < len(self._calls) or 0 in self._ended:
            return False
        self.over.set()
        return True

    def _new(self, index: int) -> Execution:
        execution = Execution(self.ids.text(index), self._work, self._fn, self._calls[index], {}, self._context)
        execution.created, execution.owner = self._created, self.owner
        execution.mapped, execution.index = self, index
        return execution

    def _again(self, index: int) -> Execution:
        execution = self._new(index)
        self._end_again(execution)
        return execution

    def _end_again(self, execution: Execution) -> None:
        index = execution.index
        execution.started, execution.finished = self._started[index], self._finished[index]
        execution.end_again(self._values[index], self._durations[index])
