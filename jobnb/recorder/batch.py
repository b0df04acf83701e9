"""What is collected and not sent yet: the newest event of each job, and the batches made of them."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from jobnb.recorder.events import Event, EventKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

BATCH_JOBS = 10_000
BATCH_CHARACTERS = 8_000_000
_NEW, _END, _LOGS = EventKind.NEW, EventKind.END, EventKind.LOGS


class Batch(NamedTuple):
    """What one flush sends.

    Attributes:
        new: jobs whose first event is among what was collected; they may have come further, even to their end.
        changed: jobs that have a row.
        logs: lines of jobs, whose rows come first.
    """

    new: list[Event]
    changed: list[Event]
    logs: list[Event]

    def __bool__(self) -> bool:
        return bool(self.new or self.changed or self.logs)

    def __len__(self) -> int:
        return len(self.new) + len(self.changed)


class Pending:
    """The newest event of each job; an event tells all that is known of a job, so it replaces those before it."""

    def __init__(self) -> None:
        self._open: dict[str, Event] = {}
        self._ended: dict[str, Event] = {}
        self._without_row: set[str] = set()
        self._logs: list[Event] = []

    def add(self, events: Iterable[Event]) -> None:
        """Collect events, in the order in which they happened."""
        still_open, ended = self._open, self._ended
        for event in events:
            kind, job_id, *_ = event
            if kind is _END:
                still_open.pop(job_id, None)
                ended[job_id] = event
            elif kind is _LOGS:
                self._logs.append(event)
            else:
                if kind is _NEW:
                    self._without_row.add(job_id)
                # a sweep may have looked at the job before its end, and speak after it
                if job_id not in ended:
                    still_open[job_id] = event

    def __bool__(self) -> bool:
        return bool(self._open or self._ended or self._logs)

    @property
    def ended(self) -> int:
        """How many of the jobs have ended."""
        return len(self._ended)

    @property
    def without_row(self) -> int:
        """How many of the jobs have no row yet."""
        return len(self._without_row)

    @property
    def accepted_only(self) -> bool:
        """True if some jobs have been accepted, and no more is known of them."""
        return any(event.kind is _NEW for event in self._open.values())

    def take(self, *, ended_only: bool) -> Batch:
        """Remove the next batch.

        Args:
            ended_only: leave the jobs that have not ended; soon one record will tell all of them.
        """
        batch = Batch([], [], [])
        characters = 0
        for source in (self._ended,) if ended_only else (self._ended, self._open):
            for job_id in list(islice(source, BATCH_JOBS - len(batch))):
                event = source.pop(job_id)
                if job_id in self._without_row:
                    self._without_row.remove(job_id)
                    batch.new.append(event)
                else:
                    batch.changed.append(event)
                characters += len(event.members)
                if characters > BATCH_CHARACTERS:
                    break
        self._take_logs(batch)
        return batch

    def _take_logs(self, batch: Batch) -> None:
        """Lines of a job whose row is still to come wait for it."""
        if self._logs:
            batch.logs.extend(event for event in self._logs if event.job_id not in self._without_row)
            self._logs = [event for event in self._logs if event.job_id in self._without_row]


def payload(events: Sequence[Event]) -> tuple[str, str]:
    """The events as a JSON array, and as another one what they share, which they name by its place."""
    places: dict[str, int] = {}
    objects, last, ending = [], "", "}"
    for kind, job_id, attempt, members, shared in events:
        if kind is _LOGS:
            objects.append(members)
            continue
        if shared is not last:
            last, ending = shared, f',"shared":{places.setdefault(shared, len(places))}}}' if shared else "}"
        objects.append(f'{{"job_id":"{job_id}","attempt":{attempt},{members}{ending}')
    shares = [f'{{"place":{place},{shared}}}' for shared, place in places.items()]
    return f"[{','.join(objects)}]", f"[{','.join(shares)}]"
