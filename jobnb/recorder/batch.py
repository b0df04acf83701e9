"""What is collected and not sent yet: the newest event of each job, and the batches made of them."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from jobnb.ids import IdRange
from jobnb.recorder.events import AnyEvent, Event, EventKind, PlainEnd

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

BATCH_JOBS = 10_000
BATCH_CHARACTERS = 8_000_000
_NEW, _MAP, _END, _LOGS = EventKind.NEW, EventKind.MAP, EventKind.END, EventKind.LOGS
_HEAD = IdRange.HEAD


class Batch(NamedTuple):
    """What one flush sends.

    Attributes:
        done: jobs whose first event and plain end are among what was collected.
        new: other jobs whose first event is among it; they may have come further, even to their end.
        changed: jobs that have a row.
        logs: lines of jobs, whose rows come first.
    """

    done: list[PlainEnd]
    new: list[AnyEvent]
    changed: list[AnyEvent]
    logs: list[AnyEvent]

    def __bool__(self) -> bool:
        return bool(self.done or self.new or self.changed or self.logs)

    def __len__(self) -> int:
        return len(self.done) + len(self.new) + len(self.changed)


class _OpenMap:
    """A `map` some of whose jobs have only been accepted.

    Attributes:
        event: what told of it.
        seen: the ids of those of which more is known.
    """

    def __init__(self, event: AnyEvent) -> None:
        assert isinstance(event, Event)
        self.event, self.seen = event, set[str]()

    @property
    def left(self) -> int:
        """How many have only been accepted."""
        return self.event.jobs - len(self.seen)

    def accepted(self) -> Iterator[Event]:
        """An event for each of them."""
        for job_id in IdRange(self.event.job_id, self.event.jobs):
            if job_id not in self.seen:
                yield Event(_NEW, job_id, 1, self.event.members, self.event.shared)


class Pending:
    """The newest event of each job; an event tells all that is known of a job, so it replaces those before it."""

    def __init__(self) -> None:
        self._open: dict[str, AnyEvent] = {}
        self._ended: dict[str, AnyEvent] = {}
        self._without_row: set[str] = set()
        self._logs: list[AnyEvent] = []
        self._maps: dict[str, _OpenMap] = {}

    def add(self, events: Iterable[AnyEvent]) -> None:
        """Collect events, in the order in which they happened."""
        still_open, ended, maps = self._open, self._ended, self._maps
        for event in events:
            job_id = event.job_id
            kind = _END if isinstance(event, PlainEnd) else event.kind
            if kind is _MAP:
                maps.setdefault(job_id[:_HEAD], _OpenMap(event))  # a spool tells of it twice
                continue
            if maps and kind is not _LOGS:
                self._see(job_id)
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

    def _see(self, job_id: str) -> None:
        """If this is a job of a `map` of which nothing was known but that: now there is more."""
        open_map = self._maps.get(job_id[:_HEAD])
        if open_map is not None and job_id not in open_map.seen:
            open_map.seen.add(job_id)
            self._without_row.add(job_id)
            if not open_map.left:
                del self._maps[job_id[:_HEAD]]

    def __bool__(self) -> bool:
        return bool(self._open or self._ended or self._logs or self._maps)

    @property
    def ended(self) -> int:
        """How many of the jobs have ended."""
        return len(self._ended)

    @property
    def without_row(self) -> int:
        """How many of the jobs have no row yet."""
        return len(self._without_row) + sum(open_map.left for open_map in self._maps.values())

    @property
    def accepted_only(self) -> bool:
        """True if some jobs have been accepted, and no more is known of them."""
        return bool(self._maps) or any(event.kind is _NEW for event in self._open.values())

    def take(self, *, ended_only: bool) -> Batch:
        """Remove the next batch.

        Args:
            ended_only: leave the jobs that have not ended; soon one record will tell all of them.
        """
        if not ended_only:
            self._unfold_maps()
        batch = Batch([], [], [], [])
        characters = 0
        for source in (self._ended,) if ended_only else (self._ended, self._open):
            for job_id in list(islice(source, BATCH_JOBS - len(batch))):
                event = source.pop(job_id)
                if job_id in self._without_row:
                    self._without_row.remove(job_id)
                    if isinstance(event, PlainEnd):
                        batch.done.append(event)
                    else:
                        batch.new.append(event)
                else:
                    batch.changed.append(event)
                characters += len(event.value if isinstance(event, PlainEnd) else event.members)
                if characters > BATCH_CHARACTERS:
                    break
        self._take_logs(batch)
        return batch

    def _unfold_maps(self) -> None:
        for open_map in self._maps.values():
            for event in open_map.accepted():
                self._open[event.job_id] = event
                self._without_row.add(event.job_id)
        self._maps.clear()

    def _take_logs(self, batch: Batch) -> None:
        """Lines of a job whose row is still to come wait for it."""
        if self._logs:
            batch.logs.extend(event for event in self._logs if self._has_row(event.job_id))
            self._logs = [event for event in self._logs if not self._has_row(event.job_id)]

    def _has_row(self, job_id: str) -> bool:
        open_map = self._maps.get(job_id[:_HEAD])
        return job_id not in self._without_row and (open_map is None or job_id in open_map.seen)


def payload(events: Sequence[AnyEvent]) -> tuple[str, str]:
    """The events as a JSON array, and as another one what they share, which they name by its place."""
    places: dict[str, int] = {}
    objects, last, ending = [], "", "}"
    for event in events:
        if event.kind is _LOGS:
            objects.append(event.members)
            continue
        if event.shared is not last:
            last = event.shared
            ending = f',"shared":{places.setdefault(last, len(places))}}}' if last else "}"
        objects.append(f'{{"job_id":"{event.job_id}","attempt":{event.attempt},{event.members}{ending}')
    return f"[{','.join(objects)}]", _shared_array(places)


def arrays(events: Sequence[PlainEnd]) -> list[str]:
    """Plain ends as what they share, and seven array literals: see `record_done`."""
    places: dict[str, int] = {}
    ids, shared, *times, values = zip(*events, strict=True)
    places_of = [str(places.setdefault(members, len(places))) for members in shared]
    # JSON has no control characters in it: all values are quoted at once
    quoted = "\x1f".join(values).replace("\\", "\\\\").replace('"', '\\"').replace("\x1f", '","')
    columns = [ids, places_of, *times]
    return [_shared_array(places), *[f"{{{','.join(column)}}}" for column in columns], f'{{"{quoted}"}}']


def _shared_array(places: dict[str, int]) -> str:
    shares = [f'{{"place":{place},{shared}}}' for shared, place in places.items()]
    return f"[{','.join(shares)}]"
