"""How events are written in a spool file: one line each, with a checksum, and apart from it what many of them share."""

from __future__ import annotations

import zlib
from hashlib import blake2b
from typing import TYPE_CHECKING

from jobnb.recorder.events import Event, EventKind

if TYPE_CHECKING:
    from collections.abc import Iterable

REPEAT = 500
"""After so many events the file gets what they share once more, so that one damaged line does not cost all of them."""
_SHARED = "="
_PROGRESS = EventKind.PROGRESS


class LineWriter:
    """Makes the lines of one file; it remembers which shared members the file has already."""

    def __init__(self) -> None:
        self._keys: dict[str, str] = {}
        self._events = 0

    def lines(self, events: Iterable[Event]) -> list[bytes]:
        """The events as lines, each with its line end, behind what they share and the file does not have yet.

        Progress is left out: it is not worth a line, and the next one replaces it.
        """
        made = []
        for kind, job_id, attempt, members, shared in events:
            if kind is _PROGRESS:
                continue
            key = self._keys.get(shared, "") if shared else ""
            if shared and not key:
                key = self._keys[shared] = blake2b(shared.encode("ascii"), digest_size=8).hexdigest()
                made.append(_line(f"{_SHARED} {key} {shared}"))
            made.append(_line(f"{kind} {job_id} {attempt} {key} {members}"))
        self._events += len(made)
        if self._events > REPEAT:
            self.forget()
        return made

    def forget(self) -> None:
        """The file was emptied, or lines did not get into it: what is shared has to be written again."""
        self._keys.clear()
        self._events = 0


def parse_lines(lines: Iterable[bytes]) -> tuple[list[Event], int]:
    """The events of a file's lines, and how many events or lines were torn or damaged."""
    found: list[tuple[str, Event]] = []
    shared = {"": ""}
    damaged = 0
    for line in lines:
        try:
            body = _body(line)
            if body.startswith(_SHARED):
                _, key, members = body.split(" ", 2)
                shared[key] = members
            else:
                kind, job_id, attempt, key, members = body.split(" ", 4)
                found.append((key, Event(EventKind(kind), job_id, int(attempt), members)))
        except ValueError:
            damaged += 1
    whole = [event._replace(shared=shared[key]) for key, event in found if key in shared]
    return whole, damaged + len(found) - len(whole)


def _line(body: str) -> bytes:
    data = body.encode("ascii")
    return b"%08x %b\n" % (zlib.crc32(data), data)


def _body(line: bytes) -> str:
    checksum, _, body = line.partition(b" ")
    if int(checksum, 16) != zlib.crc32(body):
        raise ValueError("the checksum does not fit")
    return body.decode("ascii")
