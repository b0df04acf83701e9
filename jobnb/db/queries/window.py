"""Queries that read a few adjacent jobs out of a million: pages by place, never by counting from the top."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import ColumnElement, and_, case, func, literal, select, true

from jobnb.checks import aware
from jobnb.db.queries.places import (
    NEWEST_FIRST,
    OLDEST_FIRST,
    WITHOUT_TIME,
    above,
    at_or_below,
    below,
    continues,
    count_between,
    found,
    mark_columns,
    not_above,
    one_of,
    ordered,
)
from jobnb.db.rows import FAILED_STATES, JobRow, Mark, kernel_label
from jobnb.db.statement import statement
from jobnb.db.tables import jobs, kernels

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from sqlalchemy import Connection, Select, Subquery

    from jobnb.db.terms import Filter, Term

PROMPT = 4.0
"""Seconds that what is on screen may take to read."""
TEXT_LIMIT = 300
"""Characters of a name or a message that travel in lists."""

_MESSAGE = case(
    (jobs.c.status == "failed", jobs.c.error_message),
    (and_(jobs.c.status == "done", jobs.c.result_error.is_not(None)), "value not stored: " + jobs.c.result_error),
    else_=jobs.c.progress_message,
)
_COLUMNS: tuple[ColumnElement[Any], ...] = (
    jobs.c.job_id,
    jobs.c.status,
    jobs.c.error_kind,
    jobs.c.job_type,
    func.left(jobs.c.name, TEXT_LIMIT).label("name"),
    jobs.c.progress,
    func.left(_MESSAGE, TEXT_LIMIT).label("message"),
    jobs.c.created_at,
    jobs.c.started_at,
    jobs.c.finished_at,
    jobs.c.duration_s,
    jobs.c.attempt,
    jobs.c.max_attempts,
    jobs.c.kernel_id,
    jobs.c.cancel_requested_at.is_not(None).label("cancel_requested"),
    jobs.c.result_error.is_not(None).label("has_value_error"),
    jobs.c.retry_of,
    jobs.c.group_id,
    mark_columns()[0],
)
_KINDS = ("cancelled", "timeout", "lost")


class Page(NamedTuple):
    """Some adjacent jobs.

    Attributes:
        rows: newest first.
        as_of: the server's time when they were read.
    """

    rows: list[JobRow]
    as_of: datetime


@statement(deadline=PROMPT)
def read_page(
    conn: Connection, wanted: Filter, limit: int, at: Mark | None = None, skip: int = 0, *, few: bool = False
) -> Page:
    """Read up to `limit` of the wanted jobs from a place downwards.

    Args:
        wanted: which jobs.
        limit: how many at most.
        at: the place to begin at, its own job included; None for the top.
        skip: leave out so many of them first.
        few: see `places.ordered`.
    """
    below_it = None if at is None else at_or_below(at)
    page = _read(conn, ordered(wanted, _COLUMNS, below_it, few=few).offset(skip).limit(limit))
    if at is not None and continues(at) and len(page.rows) < limit:
        left = 0 if page.rows else skip - min(skip, count_between(conn, wanted, at, WITHOUT_TIME, skip))
        rest = ordered(wanted, _COLUMNS, at_or_below(WITHOUT_TIME)).offset(left).limit(limit - len(page.rows))
        page.rows.extend(_read(conn, rest).rows)
    return page


@statement(deadline=PROMPT)
def read_last_page(
    conn: Connection, wanted: Filter, limit: int, upper: Mark | None = None, *, few: bool = False
) -> Page:
    """Read the oldest `limit` of the wanted jobs at or below a place (None for the top), newest first."""
    not_higher = None if upper is None else not_above(upper)
    query = ordered(wanted, _COLUMNS, not_higher, few=few).order_by(None)
    columns = query.selected_columns
    oldest_first = (columns.created_at.asc().nulls_first(), columns.job_id.asc())
    return _read(conn, query.order_by(*oldest_first).limit(limit))


@statement(deadline=PROMPT)
def read_rows(conn: Connection, job_ids: Sequence[UUID]) -> dict[UUID, JobRow]:
    """Read some jobs by their ids; those that are gone are left out."""
    page = _read(conn, select(*_COLUMNS).where(one_of(job_ids)))
    return {row.job_id: row for row in page.rows}


@statement(deadline=PROMPT)
def read_fitting(conn: Connection, wanted: Filter, job_ids: Sequence[UUID]) -> tuple[dict[UUID, JobRow], datetime]:
    """Read those of some jobs that still are wanted, and the server's time."""
    page = _read(conn, found(wanted, *_COLUMNS).where(one_of(job_ids)))
    return {row.job_id: row for row in page.rows}, page.as_of


@statement(deadline=PROMPT)
def next_failure(
    conn: Connection, wanted: Filter, start: Mark | None, *, older: bool, upper: Mark | None = None
) -> JobRow | None:
    """Read the nearest failed one of the wanted jobs below (`older`) or above a place, the place itself excluded."""
    query = found(wanted, *_COLUMNS).limit(1)
    if not any(_wants_failures(term) for term in wanted.terms):
        # said twice, the planner would take such jobs to be as rare as if the two had nothing to do with each other
        query = query.where(jobs.c.status == "failed")
    if older:
        query = query.order_by(*NEWEST_FIRST)
        start = start or upper
        pages = [query if start is None else query.where(below(start))]
        if continues(start):
            pages.append(query.where(at_or_below(WITHOUT_TIME)))
    else:
        query = query.order_by(*OLDEST_FIRST)
        query = query if upper is None else query.where(not_above(upper))
        pages = [query if start is None else query.where(above(start))]
    return next((rows[0] for page in pages if (rows := _read(conn, page).rows)), None)


def _wants_failures(term: Term) -> bool:
    states = {"unsuccessful", *FAILED_STATES}
    return term.field == "state" and not term.negated and states.issuperset(term.values)


@statement(deadline=PROMPT)
def estimate(conn: Connection, wanted: Filter) -> int:
    """How many jobs are wanted, as the planner estimates it from its statistics: within a millisecond, and roughly."""
    query = found(wanted, literal(1).label("one")).compile(conn, compile_kwargs={"render_postcompile": True})
    plan = conn.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {query}", dict(query.params)).scalar_one()
    return int(plan[0]["Plan"]["Plan Rows"])


def _read(conn: Connection, query: Select[Any]) -> Page:
    """Run a query for job rows, with their kernels and the server's time, in one round trip."""
    page = query.subquery("page")
    now = select(func.clock_timestamp().label("now")).subquery("moment")
    joined = now.outerjoin(page, true()).outerjoin(kernels, kernels.c.kernel_id == page.c.kernel_id)
    columns = (now.c.now, *page.c, kernels.c.host, kernels.c.pid, kernels.c.notebook, kernels.c.stopped_at)
    ordered = select(*columns).select_from(joined).order_by(*_order(page))
    rows = conn.execute(ordered).all()
    return Page([job_row(row[1:]) for row in rows if row[1] is not None], rows[0][0].astimezone(UTC))


def _order(page: Subquery) -> tuple[ColumnElement[Any], ...]:
    return page.c.created_at.desc().nulls_last(), page.c.job_id.desc()


def job_row(values: Sequence[Any]) -> JobRow:
    """A row of a list from the columns above and those of its kernel."""
    (
        job_id, status, kind, job_type, name, progress, message, created_at, started_at, finished_at, duration,
        attempt, max_attempts, kernel_id, cancel_requested, value_error, retry_of, group_id, created,
        host, pid, notebook, stopped_at,
    ) = values  # fmt: skip
    return JobRow(
        job_id,
        kind if status == "failed" and kind in _KINDS else status or "scheduled",
        job_type,
        name,
        progress,
        message or "",
        aware(created_at),
        aware(started_at),
        aware(finished_at),
        duration,
        attempt,
        max_attempts,
        kernel_id,
        kernel_label(host, pid, notebook) if host is not None else "",
        stopped_at is not None,
        cancel_requested,
        value_error,
        retry_of,
        group_id,
        Mark(created, job_id),
    )
