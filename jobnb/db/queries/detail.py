"""Queries for everything about one job: what is around its row, and its log."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import func, literal, select

from jobnb.db.queries.window import PROMPT
from jobnb.db.rows import LogRow, ValueRow
from jobnb.db.statement import statement
from jobnb.db.tables import jobs, logs, values

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy import Connection

    from jobnb.models import Job

RETRY_LIMIT = 20
GROUP_LIMIT = 100_000
"""Jobs of one `map` that are counted at most."""


class Surroundings(NamedTuple):
    """What is around a job's row.

    Attributes:
        log_lines: the number of its last log line; 0 if it printed nothing.
        values: the parts of its value beside the row.
        retries: ids of the jobs that repeat it, the newest first.
        group: how many jobs of its `map` have each status and `error_kind`.
        queue: how many jobs of the same process wait before it; None if it does not wait.
        as_of: the server's time.
    """

    log_lines: int
    values: tuple[ValueRow, ...]
    retries: list[UUID]
    group: list[tuple[str, str | None, int]]
    queue: int | None
    as_of: datetime


@statement(deadline=PROMPT)
def read_surroundings(conn: Connection, job: Job) -> Surroundings:
    """Read what is around a job's row."""
    last = select(func.coalesce(func.max(logs.c.n), 0)).where(logs.c.job_id == job.job_id).scalar_subquery()
    last_line, now = conn.execute(select(last, func.clock_timestamp())).one()
    retries = select(jobs.c.job_id).where(jobs.c.retry_of == job.job_id).order_by(jobs.c.job_id.desc())
    return Surroundings(
        last_line,
        _values(conn, job.job_id),
        [row[0] for row in conn.execute(retries.limit(RETRY_LIMIT))],
        _group(conn, job.group_id),
        _queue(conn, job),
        now.astimezone(UTC),
    )


def _values(conn: Connection, job_id: UUID) -> tuple[ValueRow, ...]:
    size = func.sum(func.octet_length(values.c.data))
    meta = func.array_agg(values.c.meta)[1]
    query = select(values.c.name, func.min(values.c.kind), func.count(), size, meta).where(values.c.job_id == job_id)
    rows = conn.execute(query.group_by(values.c.name).order_by(values.c.name)).all()
    return tuple(ValueRow(name, kind, parts, int(total), details) for name, kind, parts, total, details in rows)


def _group(conn: Connection, group_id: UUID | None) -> list[tuple[str, str | None, int]]:
    if group_id is None:
        return []
    some = select(jobs.c.status, jobs.c.error_kind).where(jobs.c.group_id == group_id).limit(GROUP_LIMIT).subquery()
    query = select(some.c.status, some.c.error_kind, func.count()).group_by(some.c.status, some.c.error_kind)
    return [tuple(row) for row in conn.execute(query)]


def _queue(conn: Connection, job: Job) -> int | None:
    if job.status != "scheduled":
        return None
    before = (jobs.c.kernel_id == job.kernel_id) & (jobs.c.status == "scheduled") & (jobs.c.job_id < job.job_id)
    return int(conn.execute(select(func.count()).select_from(jobs).where(before)).scalar_one())


@statement(deadline=PROMPT)
def read_log(
    conn: Connection, job_id: UUID, after: int | None, before: int | None, limit: int
) -> tuple[list[LogRow], int]:
    """Read some lines of a job's log, and the number of its last line.

    Args:
        job_id: which job; an unknown one has no lines.
        after: the lines that follow this number.
        before: the lines that precede this number; neither of the two: the last lines.
        limit: how many at most.
    """
    of_job = logs.c.job_id == job_id
    query = select(logs.c.n, logs.c.at, logs.c.stream, logs.c.line).where(of_job).limit(limit)
    if after is not None:
        query = query.where(logs.c.n > after).order_by(logs.c.n)
    else:
        query = query.where(logs.c.n < before if before is not None else literal(value=True)).order_by(logs.c.n.desc())
    lines = [_log_row(*row) for row in conn.execute(query)]
    last = conn.execute(select(func.max(logs.c.n)).where(of_job)).scalar()
    return lines if after is not None else lines[::-1], last or 0


def _log_row(n: int, at: datetime | None, stream: str, line: str) -> LogRow:
    return LogRow(n, at.astimezone(UTC) if at else datetime.fromtimestamp(0, UTC), stream, line)
