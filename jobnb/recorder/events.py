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

__all__ = ["AnyEvent", "Event", "EventKind", "PlainEnd", "json_text", "moment", "whole"]


class EventKind(StrEnum):
    """Which part of a job's life an event tells; one letter, as in the spool."""

    NEW = "N"
    """accepted; this and the next are the only events that make a row"""
    MAP = "M"
    """the same of all the jobs of a `map`, whose ids count on from the first"""
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
        jobs: how many jobs it is about; more than one only for `MAP`.
    """

    kind: EventKind
    job_id: str
    attempt: int
    members: str
    shared: str = ""
    jobs: int = 1


def moment(seconds: float) -> str:
    """A time, or a duration, as a number in microseconds: Python writes a whole number in half the time of another."""
    return f"{int(seconds * 1e6)}e-6"


NOT_SAID = "NULL"
"""What stands for a time that an event does not tell."""


PlainEnd = tuple[str, str, str, str, str, str, str]
"""The end of a job that is done in its first attempt, with nothing to tell but times and a value, as most have.

Its texts are: the job's id; what it shares with others, as of `Event`; when it was accepted (`NOT_SAID` if that is
shared), began and ended; how long it ran; and what its function returned, as JSON. Nothing but a tuple, because so many
of them wait to be sent: a tuple of texts is the one container that the garbage collector looks at only once.
"""

AnyEvent = Event | PlainEnd


def whole(end: PlainEnd) -> Event:
    """The same as an `Event`."""
    job_id, shared, created, started, finished, duration, value = end
    accepted = "" if created == NOT_SAID else f'"created_at":{created},'
    members = (
        f'{accepted}"status":"done","result":{{"result":{value}}},"finished_at":{finished},"started_at":{started},'
        f'"duration_s":{duration}'
    )
    return Event(EventKind.END, job_id, 1, members, shared)
