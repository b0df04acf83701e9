"""Many events about many jobs become one record a job: what one flush of the writer sends."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from jobnb.recorder.events import Event, EventKind

if TYPE_CHECKING:
    from collections.abc import Iterable


class Record(NamedTuple):
    """One JSON object for a statement, and the job it is about."""

    job_id: str
    json: str


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


def merge(events: Iterable[Event]) -> Batch:
    """Merge events, given in the order in which they happened."""
    histories: dict[str, dict[EventKind, Event]] = {}
    logs = []
    for event in events:
        kind, job_id = event[0], event[1]
        if kind is EventKind.LOGS:
            logs.append(Record(job_id, event.members))
            continue
        history = histories.get(job_id)
        if history is None:
            histories[job_id] = {kind: event}
        else:
            # a second event of a kind is a later attempt's, or later progress: it replaces the first
            history[kind] = event
    new: list[Record] = []
    changed: list[Record] = []
    for job_id, history in histories.items():
        (new if EventKind.NEW in history else changed).append(Record(job_id, _record(job_id, history)))
    return Batch(new, changed, logs)


def _record(job_id: str, history: dict[EventKind, Event]) -> str:
    parts = [event[3] for event in history.values() if event[3]]
    if EventKind.END in history:
        attempt = history[EventKind.END].attempt
        if EventKind.PROGRESS in history:
            parts.remove(history[EventKind.PROGRESS].members)
        status = ""  # the end's own members say done or failed
    elif len(history) == 1 and EventKind.NEW in history:
        attempt, status = 1, '"status":"scheduled",'
    else:
        attempt = max(event.attempt for event in history.values())
        status = '"status":"in_progress",'
    return f'{{"job_id":"{job_id}","attempt":{attempt},{status}{",".join(parts)}}}'
