"""Queries that read jobs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, cast, func, or_, select, text
from sqlalchemy.types import Text

from jobnb.checks import aware, check_id, check_limit, check_status
from jobnb.db.statement import statement
from jobnb.db.tables import jobs
from jobnb.errors import InvalidInput
from jobnb.models import Job, JobStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

_LISTED = [column for column in jobs.c if column.name not in ("traceback", "source")]
_NEWEST_FIRST = (jobs.c.created_at.desc().nulls_last(), jobs.c.job_id.desc())
_KINDS = ("cancelled", "timeout", "lost")


def get_job(conn: Connection, job_id: UUID) -> Job | None:
    """Read one job, with its traceback and source; None if there is no such row.

    Raises:
        InvalidInput: `job_id` is no UUID.
    """
    row = conn.execute(select(jobs).where(jobs.c.job_id == check_id("job_id", job_id))).mappings().first()
    return None if row is None else Job.from_row(row)


def get_jobs(conn: Connection, job_ids: Sequence[UUID]) -> list[Job]:
    """Read several jobs, without tracebacks and sources, in no certain order; ids without a row are left out."""
    found = conn.execute(select(*_LISTED).where(jobs.c.job_id.in_(job_ids))).mappings()
    return [Job.from_row(row) for row in found]


@statement(deadline=300.0)
def get_jobs_by_status(conn: Connection, status: str) -> list[Job]:
    """Read all jobs with that status, newest first, without tracebacks and sources.

    Raises:
        InvalidInput: no such status; the message lists them.
    """
    wanted = jobs.c.status == check_status(status).value
    found = conn.execute(select(*_LISTED).where(wanted).order_by(*_NEWEST_FIRST)).mappings()
    return [Job.from_row(row) for row in found]


@statement(deadline=300.0)
def get_all_jobs(conn: Connection) -> list[Job]:
    """Read every job there is, newest first, without tracebacks and sources. For a page of them: `find_jobs`."""
    found = conn.execute(select(*_LISTED).order_by(*_NEWEST_FIRST)).mappings()
    return [Job.from_row(row) for row in found]


def find_jobs(
    conn: Connection,
    status: str | None = None,
    job_type: str | None = None,
    since: datetime | timedelta | None = None,
    search: str | None = None,
    limit: int = 100,
    group_id: UUID | None = None,
) -> list[Job]:
    """Read the newest jobs that fit, newest first, without tracebacks and sources.

    Args:
        status: one of the four, or `cancelled`, `timeout` or `lost` for failed jobs of that kind.
        job_type: exactly this type.
        since: created at that time or later (a naive time is UTC), or within that span before now.
        search: a text somewhere in name, type, error message or progress message; case does not matter.
        limit: how many at most; at least 0.
        group_id: jobs of that `map` only.

    Raises:
        InvalidInput: an argument that can't be right.
    """
    wanted = and_(True, *_conditions(status, job_type, since, search, group_id))
    query = select(*_LISTED).where(wanted).order_by(*_NEWEST_FIRST).limit(check_limit(limit))
    return [Job.from_row(row) for row in conn.execute(query).mappings()]


@statement(deadline=60.0)
def count_jobs(
    conn: Connection,
    status: str | None = None,
    job_type: str | None = None,
    since: datetime | timedelta | None = None,
    search: str | None = None,
    group_id: UUID | None = None,
) -> int:
    """Count the jobs that fit; the arguments are those of `find_jobs`.

    Raises:
        InvalidInput: an argument that can't be right.
    """
    wanted = and_(True, *_conditions(status, job_type, since, search, group_id))
    return int(conn.execute(select(func.count()).select_from(jobs).where(wanted)).scalar_one())


@statement(deadline=60.0)
def count_by_state(conn: Connection) -> dict[str, int]:
    """Count the jobs in each state: the four statuses, with `cancelled`, `timeout` and `lost` told apart."""
    kind = func.coalesce(jobs.c.error_kind, "error")
    counted = select(jobs.c.status, kind, func.count()).group_by(jobs.c.status, kind)
    counts: dict[str, int] = {}
    for status, error_kind, count in conn.execute(counted):
        state = error_kind if status == "failed" and error_kind in _KINDS else status or "scheduled"
        counts[state] = counts.get(state, 0) + count
    return counts


@statement(deadline=60.0)
def find_job_ids(conn: Connection, digits: str, limit: int = 5) -> list[UUID]:
    """Find the jobs whose id begins with these hex digits, or ends with them; at most `limit`.

    The beginning is looked up in the index. The end has none (an index of random digits would cost every insert more
    than this rare look-up is worth): about 0.1 s for a million rows.
    """
    first = digits.ljust(32, "0")
    last = digits.ljust(32, "f")
    beginning = jobs.c.job_id.between(UUID(first), UUID(last))
    query = select(jobs.c.job_id).where(beginning).limit(limit)
    found = [row[0] for row in conn.execute(query)]
    if not found and len(digits) <= 12:
        ending = func.right(cast(jobs.c.job_id, Text), len(digits)) == digits
        found = [row[0] for row in conn.execute(select(jobs.c.job_id).where(ending).limit(limit))]
    return found


def missing_references(conn: Connection, document_id: UUID | None, property_id: UUID | None) -> list[str]:
    """Name the arguments that reference a row which is not there, in a table that is the host application's."""
    missing = []
    for argument, table, value in (
        ("document_id", "documents", document_id),
        ("property_id", "properties", property_id),
    ):
        if value is not None and not _reference_is_good(conn, argument, table, value):
            missing.append(argument)
    return missing


# the column that jobs.<argument> references, if it references one in a table that jobnb did not make
_REFERENCED = text("""
    SELECT format('SELECT EXISTS (SELECT FROM %s WHERE %I = \\:value)', c.confrelid::regclass, a.attname)
    FROM pg_constraint c
    JOIN pg_attribute own ON own.attrelid = c.conrelid AND own.attnum = c.conkey[1]
    JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = c.confkey[1]
    WHERE c.contype = 'f' AND c.conrelid = to_regclass('jobs') AND own.attname = :argument
      AND obj_description(c.confrelid, 'pg_class') IS DISTINCT FROM 'made by jobnb'
""")


def _reference_is_good(conn: Connection, argument: str, table: str, value: UUID) -> bool:
    del table
    query = conn.execute(_REFERENCED, {"argument": argument}).scalar()
    return query is None or bool(conn.execute(text(query), {"value": value}).scalar_one())


def _conditions(
    status: str | None,
    job_type: str | None,
    since: datetime | timedelta | None,
    search: str | None,
    group_id: UUID | None,
) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if status is not None:
        conditions.append(_has_state(status))
    if job_type is not None:
        conditions.append(jobs.c.job_type == _text("job_type", job_type))
    if since is not None:
        conditions.append(jobs.c.created_at >= _moment(since))
    if search is not None:
        conditions.append(_contains(_text("search", search)))
    if group_id is not None:
        conditions.append(jobs.c.group_id == check_id("group_id", group_id))
    return conditions


def _has_state(state: str) -> ColumnElement[bool]:
    if state in _KINDS:
        return and_(jobs.c.status == JobStatus.FAILED.value, jobs.c.error_kind == state)
    return jobs.c.status == check_status(state).value


def _text(argument: str, value: Any) -> str:
    if not isinstance(value, str) or "\x00" in value:
        raise InvalidInput(f"{argument} is {value!r:.80}: give a text without NUL characters", argument=argument)
    return value


def _moment(since: Any) -> datetime:
    if isinstance(since, timedelta):
        since = datetime.now(UTC) - since
    if not isinstance(since, datetime):
        raise InvalidInput(f"since is {since!r:.80}: give a datetime, or a timedelta before now", argument="since")
    moment = aware(since)
    assert moment is not None
    return moment.replace(tzinfo=None)


def _contains(wanted: str) -> ColumnElement[bool]:
    columns = (jobs.c.name, jobs.c.job_type, jobs.c.error_message, jobs.c.progress_message)
    return or_(*[column.icontains(wanted, autoescape=True) for column in columns])
