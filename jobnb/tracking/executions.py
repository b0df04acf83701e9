"""`Executions`: the jobs of this process by their ids. Unfinished ones, ended ones that somebody holds, failed ones."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, NamedTuple

from jobnb.ids import IdRange

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jobnb.tracking.execution import Execution
    from jobnb.tracking.mapped import MappedJobs
    from jobnb.tracking.work import Work

KEPT_FAILURES = 1000
"""How many failed jobs keep their function and arguments, for retries that are asked for elsewhere."""
TIDY_AFTER = 10_000


class Call(NamedTuple):
    """What it takes to run a job again. Not the job itself: its exception holds all variables of its function."""

    work: Work
    fn: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    owner: object


def _call_of(execution: Execution) -> Call:
    return Call(execution.work, execution.fn, execution.args, execution.kwargs, execution.owner)


class Executions:
    """The jobs of one runtime.

    Attributes:
        running: those whose function runs.
    """

    def __init__(self) -> None:
        self.running: set[Execution] = set()
        self._active: dict[str, Execution] = {}
        self._maps: dict[str, MappedJobs] = {}
        self._known_maps: weakref.WeakValueDictionary[str, MappedJobs] = weakref.WeakValueDictionary()
        # not a WeakValueDictionary: its references cost five times as much, for removing themselves at once
        self._known: dict[str, weakref.ref[Execution]] = {}
        self._tidy_at = TIDY_AFTER
        self._failed: dict[str, Call] = {}

    def add(self, execution: Execution) -> None:
        """Take a job in."""
        self._active[execution.job_id] = execution
        self._known[execution.job_id] = weakref.ref(execution)
        if len(self._known) > self._tidy_at:
            self._tidy()

    def add_map(self, mapped: MappedJobs) -> None:
        """Take the jobs of a `map` in."""
        self._maps[mapped.ids.head] = self._known_maps[mapped.ids.head] = mapped

    @property
    def are_active(self) -> bool:
        """True while some have not ended."""
        return bool(self._active or self._maps)

    def unfinished(self) -> Iterator[Execution]:
        """Those that have not ended."""
        yield from list(self._active.values())
        for mapped in list(self._maps.values()):
            yield from mapped.unfinished()

    def ended(self, execution: Execution) -> None:
        """It has ended; whoever holds it keeps it findable."""
        self.running.discard(execution)
        if (mapped := execution.mapped) is None:
            self._active.pop(execution.job_id, None)
        else:
            if mapped.ended(execution):
                self._maps.pop(mapped.ids.head, None)
        if execution.status == "failed":
            self._failed[execution.job_id] = _call_of(execution)
            if len(self._failed) > KEPT_FAILURES:
                self._failed.pop(next(iter(self._failed)), None)

    def find(self, job_id: str) -> Execution | None:
        """The job, if it runs or ran here and is still in memory."""
        if (reference := self._known.get(job_id)) is not None:
            return reference()
        mapped = self._known_maps.get(job_id[: IdRange.HEAD])
        return None if mapped is None else mapped.find(job_id)

    def call_of(self, job_id: str) -> Call | None:
        """What it takes to run a job again, if somebody holds the job here, or it is one of the latest to fail."""
        execution = self.find(job_id)
        return self._failed.get(job_id) if execution is None else _call_of(execution)

    def owned_by(self, owner: object) -> Iterator[Execution]:
        """The unfinished jobs that one service started."""
        return (execution for execution in self.unfinished() if execution.owner is owner)

    def _tidy(self) -> None:
        # in place: other threads add jobs meanwhile
        for job_id in [job_id for job_id, one in list(self._known.items()) if one() is None]:
            self._known.pop(job_id, None)
        self._tidy_at = max(TIDY_AFTER, 2 * len(self._known))
