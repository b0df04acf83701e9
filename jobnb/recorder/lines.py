"""How events are written in a spool file: one line each, with a checksum, and apart from it what many of them share."""

from __future__ import annotations

import zlib
from hashlib import blake2b
from typing import TYPE_CHECKING

from jobnb.recorder.events import Event, EventKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jobnb.recorder.events import AnyEvent

REPEAT = 500
"""After so many events the file gets what they share once more, so that one damaged line does not cost all of them."""
_SHARED = "="
_PLAIN = "D"
"""A plain end: its texts instead of members."""
_PROGRESS, _MAP = EventKind.PROGRESS, EventKind.MAP


class LineWriter:
    """Makes the lines of one file; it remembers which shared members the file has already."""

    def __init__(self) -> None:
        self._keys: dict[str, str] = {}
        self._events = 0

    def lines(self, events: Iterable[AnyEvent]) -> list[bytes]:
        """The events as lines, each with its line end, behind what they share and the file does not have yet.

        Progress is left out: it is not worth a line, and the next one replaces it.
        """
        made: list[bytes] = []
        for event in events:
            if not isinstance(event, Event):
                job_id, shared, *texts = event
                if shared not in self._keys:
                    made += self._shared_line(shared)
                made.append(_line(f"{_PLAIN} {job_id} {self._keys.get(shared, '')} {' '.join(texts)}"))
            elif event.kind is not _PROGRESS:
                if event.shared not in self._keys:
                    made += self._shared_line(event.shared)
                number = event.jobs if event.kind is _MAP else event.attempt
                key = self._keys.get(event.shared, "")
                line = _line(f"{event.kind} {event.job_id} {number} {key} {event.members}")
                # twice: damage to one line must not cost all jobs of a map
                made += [line, line] if event.kind is _MAP else [line]
        self._events += len(made)
        if self._events > REPEAT:
            self.forget()
        return made

    def _shared_line(self, shared: str) -> tuple[bytes, ...]:
        """What tells the file of shared members that it does not have yet."""
        if not shared:
            return ()
        key = self._keys[shared] = blake2b(shared.encode("ascii"), digest_size=8).hexdigest()
        return (_line(f"{_SHARED} {key} {shared}"),)

    def forget(self) -> None:
        """The file was emptied, or lines did not get into it: what is shared has to be written again."""
        self._keys.clear()
        self._events = 0


def parse_lines(lines: Iterable[bytes]) -> tuple[list[AnyEvent], int]:
    """The events of a file's lines, and how many events or lines were torn or damaged."""
    found: list[tuple[str, AnyEvent]] = []
    shared = {"": ""}
    damaged = 0
    for line in lines:
        try:
            body = _body(line)
            if body.startswith(_SHARED):
                _, key, members = body.split(" ", 2)
                shared[key] = members
            else:
                found.append(_parsed(body))
        except ValueError:
            damaged += 1
    complete = [_with_shared(event, shared[key]) for key, event in found if key in shared]
    return complete, damaged + len(found) - len(complete)


def _with_shared(event: AnyEvent, shared: str) -> AnyEvent:
    return event._replace(shared=shared) if isinstance(event, Event) else (event[0], shared, *event[2:])


def _parsed(body: str) -> tuple[str, AnyEvent]:
    """The key of what an event shares, and the event."""
    if body.startswith(_PLAIN):
        _, job_id, key, created, started, finished, duration, value = body.split(" ", 7)
        return key, (job_id, "", created, started, finished, duration, value)
    kind, job_id, number, key, members = body.split(" ", 4)
    if kind == _MAP:
        return key, Event(_MAP, job_id, 1, members, jobs=int(number))
    return key, Event(EventKind(kind), job_id, int(number), members)


def _line(body: str) -> bytes:
    data = body.encode("ascii")
    return b"%08x %b\n" % (zlib.crc32(data), data)


def _body(line: bytes) -> str:
    checksum, _, body = line.partition(b" ")
    if int(checksum, 16) != zlib.crc32(body):
        raise ValueError("the checksum does not fit")
    return body.decode("ascii")
