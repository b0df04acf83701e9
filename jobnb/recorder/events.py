"""What can happen to a job, and how it is written down.

An event carries the columns it sets as JSON members (`"status":"done","finished_at":"..."`), made once, in the thread
where it happened. The same text is the line in the spool and, joined with the job's other events, the row in the
statement; nothing is parsed or serialised twice.
"""

from __future__ import annotations

import zlib
from enum import StrEnum
from json.encoder import encode_basestring_ascii as json_text
from typing import NamedTuple

__all__ = ["Event", "EventKind", "json_text", "parse_line", "spool_line"]


class EventKind(StrEnum):
    """Which part of a job's life an event tells; one letter, as in the spool."""

    NEW = "N"
    """accepted; the only event that makes a row"""
    START = "S"
    """its function runs, in this attempt"""
    PROGRESS = "P"
    """how far it is; not kept in the spool, the next one replaces it"""
    END = "E"
    """done or failed"""
    LOGS = "L"
    """lines it printed; the members are whole rows of job_logs"""


class Event(NamedTuple):
    """One thing that happened to one job.

    Attributes:
        kind: which part of its life.
        job_id: its id, as text.
        attempt: of which attempt, from 1.
        members: the columns it sets, as the inside of a JSON object, without line ends.
    """

    kind: EventKind
    job_id: str
    attempt: int
    members: str


def spool_line(event: Event) -> bytes:
    """The event as a line: checksum, kind, id, attempt, members."""
    body = f"{event[0]} {event[1]} {event[2]} {event[3]}".encode("ascii")
    return b"%08x %b\n" % (zlib.crc32(body), body)


def parse_line(line: bytes) -> Event | None:
    """The event of a line without its line end; None if the line is torn or damaged."""
    checksum, _, body = line.partition(b" ")
    try:
        if int(checksum, 16) != zlib.crc32(body):
            return None
        kind, job_id, attempt, members = body.decode("ascii").split(" ", 3)
        return Event(EventKind(kind), job_id, int(attempt), members)
    except ValueError:
        return None
