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

__all__ = ["AnyEvent", "Event", "EventKind", "PlainEnd", "json_text"]


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


NOT_SAID = "NULL"
"""What stands for a time that an event does not tell."""


class PlainEnd(NamedTuple):
    """The end of a job that is done in its first attempt, with nothing to tell but times and a value.

    Most events of a burst are such ones; one small object each, because so many of them wait to be sent.

    Attributes:
        job_id: its id, as text.
        shared: as of `Event`.
        created: when it was accepted; `NOT_SAID` if that is among what it shares with others.
        started: when it began.
        finished: when it ended.
        duration: how long it ran, in seconds.
        value: what its function returned, as JSON.
    """

    job_id: str
    shared: str
    created: str
    started: str
    finished: str
    duration: str
    value: str

    @property
    def kind(self) -> EventKind:
        """As of `Event`."""
        return EventKind.END

    @property
    def attempt(self) -> int:
        """As of `Event`."""
        return 1

    @property
    def members(self) -> str:
        """As of `Event`."""
        created = "" if self.created == NOT_SAID else f'"created_at":{self.created},'
        return (
            f'{created}"status":"done","result":{{"result":{self.value}}},"finished_at":{self.finished},'
            f'"started_at":{self.started},"duration_s":{self.duration}'
        )


AnyEvent = Event | PlainEnd
