"""What is collected and not sent yet: many events about many jobs, to become one record a job."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from jobnb.recorder.events import Event, EventKind

if TYPE_CHECKING:
    from collections.abc import Iterable

BATCH_JOBS = 2_000
BATCH_CHARACTERS = 8_000_000


class Record(NamedTuple):
    """One JSON object for a statement, the job it is about, and the members it shares with others."""

    job_id: str
    json: str
    shared: str = ""


def payload(records: list[Record]) -> tuple[str, str]:
    """The records as a JSON array, and as another one what they share, which they name by its place."""
    places: dict[str, int] = {"": -1}
    objects = []
    for _, json, shared in records:
        place = places.setdefault(shared, len(places) - 1)
        objects.append(json if place < 0 else f'{json[:-1]},"shared":{place}}}')
    members = [f'{{"place":{place},{shared}}}' for shared, place in places.items() if shared]
    return f"[{','.join(objects)}]", f"[{','.join(members)}]"


class Batch(NamedTuple):
    """What one flush sends.

    Attributes:
        new: jobs whose first event is here; they may have come further, even to their end, already.
        changed: jobs that have a row.
        logs: lines of jobs, whose rows come first.
    """

    new: list[Record]
    changed: list[Record]
    logs: list[Record]

    def __bool__(self) -> bool:
        return bool(self.new or self.changed or self.logs)

    def __len__(self) -> int:
        return len(self.new) + len(self.changed)


class Pending:
    """Events in the order in which they happened, and the batches made of them.

    A second event of a kind is a later attempt's, or later progress: it replaces the first.
    """

    def __init__(self) -> None:
        self._events: dict[EventKind, dict[str, Event]] = {kind: {} for kind in EventKind}
        self._new, self._ends = self._events[EventKind.NEW], self._events[EventKind.END]
        self._logs: list[Event] = []

    def add(self, events: Iterable[Event]) -> None:
        """Collect events."""
        by_kind, logs = self._events, self._logs
        for event in events:
            if event[0] is EventKind.LOGS:
                logs.append(event)
            else:
                by_kind[event[0]][event[1]] = event

    def __bool__(self) -> bool:
        return bool(self._logs) or any(self._events.values())

    @property
    def ends(self) -> int:
        """How many of the jobs have ended."""
        return len(self._ends)

    @property
    def new(self) -> int:
        """How many of the jobs have no row yet."""
        return len(self._new)

    @property
    def accepted_only(self) -> bool:
        """True if some jobs have been accepted, and no more is known of them."""
        return any(job_id not in self._ends for job_id in self._new)

    def take(self, *, ended_only: bool) -> Batch:
        """Remove the next batch.

        Args:
            ended_only: leave the jobs that have no row and have not ended; soon one record will tell all of them.
        """
        started, progress = self._events[EventKind.START], self._events[EventKind.PROGRESS]
        batch = Batch([], [], [])
        characters = 0
        for job_id in list(self._ends if ended_only else self._everyone()):
            history = [kind.pop(job_id) for kind in (self._new, started, progress, self._ends) if job_id in kind]
            record = _record(job_id, history)
            (batch.new if history[0].kind is EventKind.NEW else batch.changed).append(record)
            characters += len(record.json) + len(record.shared)
            if len(batch.new) + len(batch.changed) >= BATCH_JOBS or characters > BATCH_CHARACTERS:
                break
        self._take_logs(batch)
        return batch

    def _everyone(self) -> dict[str, None]:
        return dict.fromkeys(job_id for kind in self._events.values() for job_id in kind)

    def _take_logs(self, batch: Batch) -> None:
        """Lines of a job whose row is still to come wait for it."""
        kept = []
        for event in self._logs:
            if event.job_id in self._new:
                kept.append(event)
            else:
                batch.logs.append(Record(event.job_id, event.members))
        self._logs = kept


def _record(job_id: str, history: list[Event]) -> Record:
    last = history[-1]
    if last.kind is EventKind.END:
        # its own members say done or failed, and how far the job got
        history = [event for event in history if event.kind is not EventKind.PROGRESS]
        attempt, status = last.attempt, ""
    elif last.kind is EventKind.NEW:
        attempt, status = 1, '"status":"scheduled",'
    else:
        attempt, status = max(event.attempt for event in history), '"status":"in_progress",'
    members = ",".join([event.members for event in history if event.members])
    return Record(job_id, f'{{"job_id":"{job_id}","attempt":{attempt},{status}{members}}}', history[0].shared)
