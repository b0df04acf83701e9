"""What can happen to a job, and how it is written down.

An event tells all of a job's row that is known at that moment, as JSON members (`"status":"done","duration_s":0.25`),
made once, in the thread where it happened. So of several events of a job only the newest has to be sent, and the same
text is the line in the spool and the row in the statement; nothing is parsed or serialised twice. Times are seconds
since 1970, UTC.
"""

from __future__ import annotations

from enum import StrEnum
from json.encoder import encode_basestring_ascii as json_text
from typing import NamedTuple

__all__ = ["Event", "EventKind", "json_text"]


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
        members: the columns it sets, as the inside of a JSON object, without line ends; at least one.
        shared: further members, that other jobs have letter by letter too (the function's source above all): they are
            written once a file and sent once a statement.
    """

    kind: EventKind
    job_id: str
    attempt: int
    members: str
    shared: str = ""
