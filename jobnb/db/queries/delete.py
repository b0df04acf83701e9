"""Queries that delete finished jobs, with their logs and values."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import delete

from jobnb.checks import check_id
from jobnb.db.statement import statement
from jobnb.db.tables import UTC_NOW, jobs
from jobnb.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection


@statement(transaction=True, deadline=300.0)
def delete_jobs(conn: Connection, job_ids: Sequence[UUID]) -> int:
    """Delete finished jobs with their logs and values; unfinished ones and unknown ids are left alone.

    Returns:
        How many were deleted.

    Raises:
        InvalidInput: not ids.
    """
    if isinstance(job_ids, (str, UUID)) or not isinstance(job_ids, Iterable):
        job_ids = [check_id("job_ids", job_ids)]
    ids = [check_id("job_ids", job_id) for job_id in job_ids]
    finished = jobs.c.status.in_(("done", "failed"))
    return conn.execute(delete(jobs).where(jobs.c.job_id.in_(ids), finished)).rowcount


@statement(transaction=True, deadline=3600.0)
def purge(conn: Connection, older_than: timedelta) -> int:
    """Delete the jobs that finished longer ago than `older_than`, with their logs and values.

    Returns:
        How many were deleted.

    Raises:
        InvalidInput: a negative span.
    """
    if older_than < timedelta(0):
        raise InvalidInput(f"older_than is {older_than}: give a positive span", argument="older_than")
    old = jobs.c.finished_at < UTC_NOW - older_than
    return conn.execute(delete(jobs).where(jobs.c.status.in_(("done", "failed")), old)).rowcount
