"""What is collected and not sent yet: the newest event of each job, and the batches made of them."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from jobnb.recorder.events import Event, EventKind, whole
from jobnb.recorder.open_maps import OpenMaps

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jobnb.recorder.events import AnyEvent, PlainEnd

BATCH_JOBS = 10_000
BATCH_CHARACTERS = 8_000_000
_NEW, _MAP, _END, _LOGS = EventKind.NEW, EventKind.MAP, EventKind.END, EventKind.LOGS

E = TypeVar("E", bound="AnyEvent")


class Batch(NamedTuple):
    """What one flush sends.

    Attributes:
        done: jobs whose first event and plain end are among what was collected.
        new: other jobs whose first event is among it; they may have come further, even to their end.
        changed: jobs that have a row.
        logs: lines of jobs, whose rows come first.
    """

    done: list[PlainEnd]
    new: list[Event]
    changed: list[Event]
    logs: list[Event]

    def __bool__(self) -> bool:
        return bool(self.done or self.new or self.changed or self.logs)

    def __len__(self) -> int:
        return len(self.done) + len(self.new) + len(self.changed)


class Pending:
    """The newest event of each job; an event tells all that is known of a job, so it replaces those before it."""

    def __init__(self) -> None:
        self._open: dict[str, Event] = {}
        self._ended: dict[str, AnyEvent] = {}
        self._without_row: set[str] = set()
        self._maps = OpenMaps()
        self._logs: list[Event] = []

    def add(self, events: Iterable[AnyEvent]) -> None:
        """Collect events, in the order in which they happened."""
        still_open, ended, maps = self._open, self._ended, self._maps
        for event in events:
            if isinstance(event, Event) and event.kind is not _END:
                self._add_before_end(event)
                continue
            job_id = event[1] if isinstance(event, Event) else event[0]
            if maps and maps.see(job_id):
                self._without_row.add(job_id)
            still_open.pop(job_id, None)
            ended[job_id] = event

    def _add_before_end(self, event: Event) -> None:
        kind, job_id, *_ = event
        if kind is _LOGS:
            self._logs.append(event)
            return
        if kind is _MAP:
            self._maps.add(event)
            return
        if kind is _NEW or self._maps.see(job_id):
            self._without_row.add(job_id)
        # a sweep may have looked at the job before its end, and speak after it
        if job_id not in self._ended:
            self._open[job_id] = event

    def __bool__(self) -> bool:
        return bool(self._open or self._ended or self._logs or self._maps)

    @property
    def ended(self) -> int:
        """How many of the jobs have ended."""
        return len(self._ended)

    @property
    def without_row(self) -> int:
        """How many of the jobs have no row yet."""
        return len(self._without_row) + self._maps.left

    @property
    def accepted_only(self) -> bool:
        """True if some jobs have been accepted, and no more is known of them."""
        return bool(self._maps) or any(event.kind is _NEW for event in self._open.values())

    def take(self, *, ended_only: bool) -> Batch:
        """Remove the next batch.

        Args:
            ended_only: leave the jobs that have not ended; soon one record will tell all of them.
        """
        batch, characters = Batch([], [], [], []), 0
        for job_id, event in _next(self._ended, BATCH_JOBS):
            characters += self._take_ended(batch, job_id, event)
            if characters > BATCH_CHARACTERS:
                break
        if not ended_only:
            self._unfold_maps()
            for job_id, event in _next(self._open, BATCH_JOBS - len(batch)):
                del self._open[job_id]
                self._sort(batch, event)
        self._take_logs(batch)
        return batch

    def _take_ended(self, batch: Batch, job_id: str, event: AnyEvent) -> int:
        """Put the end of a job into a batch; returns how many characters it has."""
        del self._ended[job_id]
        if isinstance(event, Event):
            self._sort(batch, event)
            return len(event.members)
        if job_id in self._without_row:
            self._without_row.remove(job_id)
            batch.done.append(event)
        else:
            batch.changed.append(whole(event))
        return len(event[-1])

    def _sort(self, batch: Batch, event: Event) -> None:
        if event.job_id in self._without_row:
            self._without_row.remove(event.job_id)
            batch.new.append(event)
        else:
            batch.changed.append(event)

    def _unfold_maps(self) -> None:
        for event in self._maps.unfold():
            self._open[event.job_id] = event
            self._without_row.add(event.job_id)

    def _take_logs(self, batch: Batch) -> None:
        """Lines of a job whose row is still to come wait for it."""
        if self._logs:
            batch.logs.extend(event for event in self._logs if self._has_row(event.job_id))
            self._logs = [event for event in self._logs if not self._has_row(event.job_id)]

    def _has_row(self, job_id: str) -> bool:
        return job_id not in self._without_row and not self._maps.has(job_id)


def _next(events: dict[str, E], count: int) -> list[tuple[str, E]]:
    return list(islice(events.items(), count))
