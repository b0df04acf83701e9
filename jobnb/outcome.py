"""How a job ended: its value from its row alone, or the error that tells what went wrong elsewhere."""

from __future__ import annotations

import contextlib
from typing import Any

from jobnb.errors import JobCancelled, JobFailed, JobLost, JobTimeout, ResultNotStored
from jobnb.models import Job, JobStatus
from jobnb.values import decode

_KINDS = {"cancelled": JobCancelled, "timeout": JobTimeout, "lost": JobLost}


def stored_value(job: Job) -> Any:
    """The value of a job that has ended, made from its row.

    Raises:
        JobFailed: it failed; or one of its children.
        ResultNotStored: its value could not be kept.
    """
    __tracebackhide__ = True
    if job.status is JobStatus.FAILED:
        raise failure_of(job)
    stored = decode(job.result, job.result_order)
    # a function's value is under "result"; what complete_job was given is the object itself
    value = stored["result"] if isinstance(stored, dict) and stored.keys() == {"result"} else stored
    if job.result_error is not None:
        raise ResultNotStored(job.job_id, job.result_error, str(value))
    return value


def failure_of(job: Job) -> JobFailed:
    """What tells that a job failed, where its own exception is not in this process."""
    kind = _KINDS.get(job.error_kind or "", JobFailed)
    return kind(job.job_id, job.error_message or "no reason was recorded", job.traceback)


def add_note(error: BaseException, short: str) -> None:
    """Have an exception of the user's own name the job that raised it; `short` is what is shown of the job's id."""
    with contextlib.suppress(Exception):  # a frozen dataclass, say, takes no note; the error itself matters more
        if not getattr(error, "__notes__", None):
            error.add_note(f"jobnb: raised in job {short}; jobnb.get('{short}').logs() has what it printed")
