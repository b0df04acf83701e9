"""Functions become durable, tracked jobs: submit from a notebook, keep everything in PostgreSQL.

    job = jobnb.submit(train, df, job_type="analysis")    # returns at once
    job.result()                                           # the value, here; or tomorrow, from jobnb.get(job.job_id)

The house, from the top; a floor rests only on those below it:

    jupyter; cli            the notebook: magics, cards; the command line
    api                     submit, map, get, jobs, configure, run_as_job: over one default service
    service                 JobService, SyncJobService: one line a query
    submitting, options     how a function becomes a job of this process
    groups, handle          what a caller holds; members, frames, logs, outcome, seen, waiting are parts of it
    runtime                 what a process shares for one database; caretaker, recovery, requests look after its jobs
    executors               runner: what happens around every call; threads
    callbacks               machine learning libraries report their progress
    tracking, recorder      a job in this process; the way of its events into the database
    db                      everything that knows PostgreSQL
    values, display, calls  results as JSON; jobs as text and HTML; what is known about a function
    models, settings, ...   the data, the settings, ids, locks, threads, standard output; checks; states
    errors

Names are imported when first used, so that `import jobnb` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jobnb.api import configure, current_job, get, jobs, map, run_as_job, submit
    from jobnb.errors import (
        AmbiguousJobId,
        ConfigurationError,
        DatabaseError,
        DatabaseUnavailable,
        InvalidInput,
        InvalidOption,
        InvalidTransition,
        JobCancelled,
        JobFailed,
        JobLost,
        JobnbError,
        JobNotFound,
        JobTimeout,
        PermissionDenied,
        ResultNotStored,
        SchemaMismatch,
        ServiceClosed,
        StopRequested,
        WaitTimeout,
    )
    from jobnb.groups import JobGroup, JobList, as_completed, gather, wait
    from jobnb.handle import JobHandle
    from jobnb.models import Job, JobCreate, JobStatus, JobUpdate
    from jobnb.service import JobService, SyncJobService
    from jobnb.tracking.progress import check_cancelled, progress, track

__version__ = "0.1.0"

_HOMES = {
    "jobnb.api": ("configure", "current_job", "get", "jobs", "map", "run_as_job", "submit"),
    "jobnb.errors": (
        "AmbiguousJobId", "ConfigurationError", "DatabaseError", "DatabaseUnavailable", "InvalidInput",
        "InvalidOption", "InvalidTransition", "JobCancelled", "JobFailed", "JobLost", "JobNotFound", "JobTimeout",
        "JobnbError", "PermissionDenied", "ResultNotStored", "SchemaMismatch", "ServiceClosed", "StopRequested",
        "WaitTimeout",
    ),
    "jobnb.groups": ("JobGroup", "JobList", "as_completed", "gather", "wait"),
    "jobnb.handle": ("JobHandle",),
    "jobnb.jupyter.magics": ("load_ipython_extension",),
    "jobnb.models": ("Job", "JobCreate", "JobStatus", "JobUpdate"),
    "jobnb.service": ("JobService", "SyncJobService"),
    "jobnb.tracking.progress": ("check_cancelled", "progress", "track"),
}  # fmt: skip
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "AmbiguousJobId",
    "ConfigurationError",
    "DatabaseError",
    "DatabaseUnavailable",
    "InvalidInput",
    "InvalidOption",
    "InvalidTransition",
    "Job",
    "JobCancelled",
    "JobCreate",
    "JobFailed",
    "JobGroup",
    "JobHandle",
    "JobList",
    "JobLost",
    "JobNotFound",
    "JobService",
    "JobStatus",
    "JobTimeout",
    "JobUpdate",
    "JobnbError",
    "PermissionDenied",
    "ResultNotStored",
    "SchemaMismatch",
    "ServiceClosed",
    "StopRequested",
    "SyncJobService",
    "WaitTimeout",
    "as_completed",
    "check_cancelled",
    "configure",
    "current_job",
    "gather",
    "get",
    "jobs",
    "map",
    "progress",
    "run_as_job",
    "submit",
    "track",
    "wait",
]


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'jobnb' has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
