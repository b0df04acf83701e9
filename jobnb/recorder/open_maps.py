"""`OpenMaps`: maps some of whose jobs have only been accepted, each as the one event that told of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobnb.ids import IdRange
from jobnb.recorder.events import Event, EventKind

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEAD = IdRange.HEAD


class OpenMaps:
    """The maps of which the database knows nothing yet, by what the ids of their jobs begin with."""

    def __init__(self) -> None:
        self._maps: dict[str, tuple[Event, set[str]]] = {}

    def __bool__(self) -> bool:
        return bool(self._maps)

    @property
    def left(self) -> int:
        """How many jobs have only been accepted."""
        return sum(event.jobs - len(seen) for event, seen in self._maps.values())

    def add(self, event: Event) -> None:
        """A `map` was accepted; a spool tells of it twice."""
        self._maps.setdefault(event.job_id[:_HEAD], (event, set()))

    def has(self, job_id: str) -> bool:
        """True if this job has only been accepted."""
        found = self._maps.get(job_id[:_HEAD])
        return found is not None and job_id not in found[1]

    def see(self, job_id: str) -> bool:
        """More is known of a job; True if it had only been accepted until now."""
        if (found := self._maps.get(job_id[:_HEAD])) is None:
            return False
        event, seen = found
        if job_id in seen:
            return False
        seen.add(job_id)
        if len(seen) == event.jobs:
            del self._maps[job_id[:_HEAD]]
        return True

    def unfold(self) -> Iterator[Event]:
        """An event for each job that has only been accepted; the maps are forgotten."""
        for event, seen in self._maps.values():
            for job_id in IdRange(event.job_id, event.jobs):
                if job_id not in seen:
                    yield Event(EventKind.NEW, job_id, 1, event.members, event.shared)
        self._maps.clear()
