"""Queries for the numbers over all jobs: each a few milliseconds for a million rows, from indexes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import func, literal, select, text, true

from jobnb.checks import aware
from jobnb.db.queries.filtering import ACTIVE
from jobnb.db.queries.places import WITHOUT_TIME, above, at_or_below, continues
from jobnb.db.queries.window import PROMPT
from jobnb.db.statement import statement
from jobnb.db.tables import jobs, kernels

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy import Connection

    from jobnb.db.rows import Mark


class Counts(NamedTuple):
    """How many jobs there are, all seen at one moment.

    Attributes:
        queued: how many wait.
        running: how many run.
        failures: how many ended without a value, by reason (`error_kind`).
        newer: how many are above the place that was asked about.
        oldest_queued: when the one was created that waits longest.
        kernels: how many processes have unfinished jobs.
        silent: how many of those gave no sign of life for 30 s.
        newest: the newest job's id.
        deleted: how many rows of the table were ever deleted, as the server's statistics know it.
        as_of: the server's time.
    """

    queued: int
    running: int
    failures: dict[str, int]
    newer: int
    oldest_queued: datetime | None
    kernels: int
    silent: int
    newest: UUID | None
    deleted: int
    as_of: datetime


@statement(transaction=True, deadline=10.0)
def count_changing(conn: Connection, base: Mark | None, silent_seconds: float) -> Counts:
    """Count what changes all the time: unfinished and failed jobs, and those above a place (None: none).

    By plain scans of the indexes: unlike bitmap scans they mark the entries of rows that are gone, so that the next
    one passes over them. Between two vacuums 5,000 unfinished jobs may have 70,000 of them (measured: 450 ms, then 18).
    """
    conn.exec_driver_sql("SET LOCAL enable_bitmapscan = off")
    active = select(jobs.c.status, jobs.c.kernel_id, jobs.c.created_at).where(ACTIVE).cte("active")
    active = active.prefix_with("MATERIALIZED", dialect="postgresql")
    queued = active.c.status == "scheduled"
    unfinished = select(
        func.count().filter(queued).label("queued"),
        func.count().label("all"),
        func.min(active.c.created_at).filter(queued).label("oldest"),
    ).subquery("unfinished")
    kind = func.coalesce(jobs.c.error_kind, "error").label("kind")
    by_kind = select(kind, func.count().label("n")).where(jobs.c.status == "failed").group_by(kind).subquery("by_kind")
    failures = select(func.jsonb_object_agg(by_kind.c.kind, by_kind.c.n)).scalar_subquery()
    working = kernels.c.kernel_id.in_(select(active.c.kernel_id)) & kernels.c.stopped_at.is_(None)
    is_silent = kernels.c.heartbeat < func.now() - func.make_interval(0, 0, 0, 0, 0, 0, silent_seconds)
    alive = (
        select(func.count().label("all"), func.count().filter(is_silent).label("silent"))
        .where(working)
        .subquery("alive")
    )
    newer = literal(0) if base is None else select(func.count()).select_from(jobs).where(above(base)).scalar_subquery()
    newest = select(jobs.c.job_id).order_by(jobs.c.created_at.desc().nulls_last(), jobs.c.job_id.desc()).limit(1)
    told: Any = conn.execute(
        select(
            *unfinished.c, failures, newer, *alive.c, newest.scalar_subquery(),
            func.pg_stat_get_tuples_deleted(func.to_regclass("jobs")), func.clock_timestamp(),
        ).select_from(unfinished.join(alive, true()))
    ).one()  # fmt: skip
    waiting, unended, oldest, kinds, above_base, working_count, silent_count, newest_id, deleted, now = told
    return Counts(
        waiting, unended - waiting, kinds or {}, above_base, aware(oldest), working_count, silent_count, newest_id,
        deleted or 0, now.astimezone(UTC),
    )  # fmt: skip


@statement(deadline=60.0)
def count_all(conn: Connection, top: Mark) -> int:
    """Count the jobs at a place and below it: a scan of the index only, 0.1 s for a million."""
    ranges = [at_or_below(mark) for mark in (top, WITHOUT_TIME) if mark is top or continues(top)]
    return sum(int(conn.execute(select(func.count()).select_from(jobs).where(one)).scalar_one()) for one in ranges)


@statement(deadline=PROMPT)
def estimate_all(conn: Connection) -> int:
    """How many jobs there are, as the last VACUUM or ANALYZE saw it."""
    query = text("SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = to_regclass('jobs')")
    return int(conn.execute(query).scalar() or 0)


@statement(deadline=10.0)
def count_finished(conn: Connection, since: datetime) -> dict[datetime, tuple[int, int]]:
    """How many jobs ended, and how many of them failed, in each second from one on that had any."""
    naive = since.astimezone(UTC).replace(tzinfo=None)
    second = func.date_trunc("second", jobs.c.finished_at).label("second")
    failed = func.count().filter(jobs.c.status == "failed")
    recent = jobs.c.finished_at.between(naive, func.timezone("utc", func.clock_timestamp()))
    rows = conn.execute(select(second, func.count(), failed).where(recent).group_by(second))
    return {at.replace(tzinfo=UTC): (count, failures) for at, count, failures in rows}


# a loose scan: one look into the index for each type, however many rows it has (0.4 ms, where DISTINCT takes 174 ms)
_TYPES = text("""
    WITH RECURSIVE found(job_type) AS (
        (SELECT job_type FROM jobs WHERE job_type LIKE :pattern ORDER BY job_type USING ~<~ LIMIT 1)
        UNION ALL
        SELECT (SELECT j.job_type FROM jobs j WHERE j.job_type LIKE :pattern AND j.job_type ~>~ found.job_type
                ORDER BY j.job_type USING ~<~ LIMIT 1)
        FROM found WHERE found.job_type IS NOT NULL
    )
    SELECT job_type FROM found WHERE job_type IS NOT NULL LIMIT :limit
""")


@statement(deadline=PROMPT)
def list_types(conn: Connection, beginning: str, limit: int = 50) -> list[str]:
    """The job types that begin so, in order, at most `limit`."""
    escaped = beginning.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return [row[0] for row in conn.execute(_TYPES, {"pattern": f"{escaped}%", "limit": limit})]
