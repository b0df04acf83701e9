"""Queries for scripts that watch: exact numbers of a filter, and what has changed since."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import Text, cast, func

from jobnb.db.queries.filtering import ACTIVE
from jobnb.db.queries.places import above, found
from jobnb.db.statement import statement
from jobnb.db.tables import jobs

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy import ColumnElement, Connection

    from jobnb.db.rows import Mark
    from jobnb.db.terms import Filter

_KINDS = ("cancelled", "timeout", "lost")


class Standing(NamedTuple):
    """What a job has come to: a greater change than this is worth a line.

    Attributes:
        job_id: which job.
        state: its status, and why it failed.
        attempt: counts from 1.
        asked: True if it was asked to stop.
    """

    job_id: UUID
    state: str
    attempt: int
    asked: bool


@statement(deadline=60.0)
def count_states(conn: Connection, wanted: Filter) -> tuple[dict[str, int], datetime | None]:
    """Count the wanted jobs by state, exactly, and find when the one was created that waits longest."""
    kind = func.coalesce(jobs.c.error_kind, "error").label("kind")
    status = func.coalesce(cast(jobs.c.status, Text), "scheduled").label("state")
    oldest = func.min(jobs.c.created_at).filter(jobs.c.status == "scheduled")
    counts: dict[str, int] = {}
    waits: list[datetime] = []
    query = found(wanted, status, kind, func.count(), oldest).group_by(status, kind)
    for state, error_kind, count, since in conn.execute(query):
        state = error_kind if state == "failed" and error_kind in _KINDS else state  # noqa: PLW2901 - told apart
        counts[state] = counts.get(state, 0) + count
        waits += [since.replace(tzinfo=UTC)] if since else []
    return counts, min(waits, default=None)


@statement(deadline=20.0)
def read_standings(conn: Connection, wanted: Filter, newer: Mark | None, since: datetime, limit: int) -> list[Standing]:
    """Read how the wanted jobs stand that may have changed: unfinished ones, new ones, and those that ended lately.

    Args:
        conn: the connection.
        wanted: which jobs.
        newer: jobs above this place are new; None for all.
        since: jobs that ended at this time or later ended lately.
        limit: how many of each at most.
    """
    ended = jobs.c.finished_at >= since.astimezone(UTC).replace(tzinfo=None)
    looked_at: list[ColumnElement[bool]] = [ACTIVE, ended]
    if newer is not None:
        looked_at.append(above(newer))
    columns = (jobs.c.job_id, jobs.c.status, jobs.c.error_kind, jobs.c.attempt)
    standings: dict[UUID, Standing] = {}
    for condition in looked_at:
        query = found(wanted, *columns, jobs.c.cancel_requested_at.is_not(None)).where(condition).limit(limit)
        for job_id, status, kind, attempt, asked in conn.execute(query):
            state = f"{status} {kind}" if kind else status or "scheduled"
            standings[job_id] = Standing(job_id, state, attempt, asked)
    return list(standings.values())
