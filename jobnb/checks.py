"""What arguments have to be: each check returns the value it was given, made right, or refuses it with words."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from uuid import UUID

from jobnb.errors import InvalidInput
from jobnb.states import ERROR_KINDS, JobStatus

JOB_TYPE_LIMIT = 50
"""Characters that fit in `jobs.job_type`."""
MOST_SECONDS = threading.TIMEOUT_MAX
"""More than Python can wait: some 292 years."""


def check_job_type(value: object) -> str:
    """Return `value` if it can be a job type.

    Raises:
        InvalidInput: not a text of 1 to 50 characters without NUL or half surrogates.
    """
    if not isinstance(value, str):
        raise InvalidInput(f"job_type is {value!r:.80}: give a text such as 'analysis'", argument="job_type")
    if not value.strip():
        raise InvalidInput(f"job_type is {value!r}, an empty text: give one such as 'analysis'", argument="job_type")
    if len(value) > JOB_TYPE_LIMIT:
        raise InvalidInput(
            f"job_type has {len(value)} characters, the limit is {JOB_TYPE_LIMIT}: {value!r:.80}; put it in name=",
            argument="job_type",
        )
    return check_text("job_type", value)


def check_text(argument: str, value: object, limit: int = 200) -> str:
    """Return `value` if PostgreSQL can store it as a short text.

    Raises:
        InvalidInput: not a text, longer than `limit` characters, or with NUL or half surrogates in it.
    """
    if not isinstance(value, str):
        raise InvalidInput(f"{argument} is {value!r:.80}: give a text", argument=argument)
    if len(value) > limit:
        raise InvalidInput(f"{argument} has {len(value)} characters, the limit is {limit}", argument=argument)
    if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise InvalidInput(
            f"{argument} is {value!r:.80}: PostgreSQL can't store NUL characters or half surrogates; remove them",
            argument=argument,
        )
    return value


def check_id(argument: str, value: object) -> UUID:
    """Return `value` as a UUID; a text in any of UUID's spellings will do.

    Raises:
        InvalidInput: it is no UUID.
    """
    if isinstance(value, UUID):
        return value
    if isinstance(value, str):
        try:
            return UUID(value.strip())
        except ValueError:
            pass
    raise InvalidInput(f"{argument} is {value!r:.80}: give a UUID, such as job.job_id", argument=argument)


def check_status(value: object) -> JobStatus:
    """Return `value` as a status; upper and lower case are the same.

    Raises:
        InvalidInput: no such status; the message lists them.
    """
    if isinstance(value, str) and value.lower() in list(JobStatus):
        return JobStatus(value.lower())
    known = ", ".join(JobStatus)
    hint = (
        " (a cancelled, timed-out or lost job is failed; its error_kind says which)"
        if isinstance(value, str) and value in ERROR_KINDS
        else ""
    )
    raise InvalidInput(f"status is {value!r:.80}: give one of {known}{hint}", argument="status")


def check_limit(value: object) -> int:
    """Return `value` if it can be a number of rows.

    Raises:
        InvalidInput: not a whole number of at least 0.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InvalidInput(f"limit is {value!r:.80}: give a whole number of at least 0", argument="limit")
    return min(value, 2**62)


def check_seconds(argument: str, value: object) -> float:
    """Return `value` if it is a positive number of seconds that Python can wait for.

    Raises:
        InvalidInput: anything else; texts are refused.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= MOST_SECONDS:
        return float(value)
    raise InvalidInput(
        f"{argument} is {value!r:.80}: give a positive number of seconds, or None for no limit", argument=argument
    )


def aware(moment: datetime | None) -> datetime | None:
    """`moment` as an aware UTC time; a naive one is taken to be UTC, as the database's `timestamp` columns are."""
    if moment is None:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
