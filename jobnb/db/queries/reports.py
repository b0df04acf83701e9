"""Queries that sum up many jobs: failures by what went wrong, types by how they do, the processes that run jobs."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Double, func, or_, select, true
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by

from jobnb.checks import aware
from jobnb.db.queries.filtering import ACTIVE, fingerprint, took, waited
from jobnb.db.queries.places import found
from jobnb.db.queries.window import PROMPT
from jobnb.db.rows import ErrorGroup, KernelRow, TypeRow
from jobnb.db.statement import statement
from jobnb.db.tables import jobs, kernels

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from sqlalchemy import Connection, Select
    from sqlalchemy.sql.selectable import CTE

    from jobnb.db.terms import Filter

SLICES = 24
"""Into how many equal slices the history in a report is cut."""
_MESSAGE_LIMIT = 500
_GROUP_LIMIT = 200


class Report(NamedTuple):
    """What a report is about.

    Attributes:
        rows: its groups.
        examined: how many jobs were looked at.
        since: when the oldest of them ended.
        as_of: the server's time.
    """

    rows: list[Any]
    examined: int
    since: datetime | None
    as_of: datetime


@statement(deadline=20.0)
def group_errors(conn: Connection, wanted: Filter, newest: int) -> Report:
    """Group the newest failed jobs by fingerprint; those that somebody cancelled only if the filter names a state."""
    query = found(
        wanted,
        jobs.c.job_id,
        jobs.c.job_type,
        func.coalesce(jobs.c.error_kind, "error").label("kind"),
        func.left(func.coalesce(jobs.c.error_message, ""), _MESSAGE_LIMIT).label("message"),
        func.coalesce(jobs.c.finished_at, jobs.c.created_at).label("ended"),
        fingerprint(jobs.c.error_message).label("fingerprint"),
    ).where(jobs.c.status == "failed")
    if not any(term.field == "state" for term in wanted.terms):
        query = query.where(or_(jobs.c.error_kind != "cancelled", jobs.c.error_kind.is_(None)))
    sample = query.order_by(jobs.c.finished_at.desc()).limit(newest).cte("sample")
    newest_first = sample.c.ended.desc().nulls_last()
    groups = (
        select(
            sample.c.fingerprint,
            func.array_agg(aggregate_order_by(sample.c.message, newest_first))[1],
            func.mode().within_group(sample.c.kind),
            func.count().label("jobs"),
            func.min(sample.c.ended),
            func.max(sample.c.ended),
            func.array_agg(sample.c.job_type),
            func.array_agg(aggregate_order_by(sample.c.job_id, newest_first))[1:5],
            *_slices(sample),
        )
        .group_by(sample.c.fingerprint)
        .order_by(func.count().desc(), func.max(sample.c.ended).desc())
        .limit(_GROUP_LIMIT)
    )
    return _report(conn, sample, groups, _error_group)


def _error_group(row: tuple[Any, ...]) -> ErrorGroup:
    print_, message, kind, count, first, last, types, sample, slices = row
    state = "failed" if kind == "error" else kind
    commonest = tuple(Counter(types).most_common(5))
    return ErrorGroup(
        print_, message, state, count, aware(first), aware(last), commonest, tuple(sample), _history(slices)
    )


@statement(deadline=20.0)
def sum_up_types(conn: Connection, wanted: Filter, newest: int) -> Report:
    """Sum up the newest finished jobs by type, and all unfinished ones."""
    sample = (
        found(
            wanted,
            jobs.c.job_type,
            jobs.c.status,
            took(jobs.c).label("took"),
            waited(jobs.c).label("waited"),
            jobs.c.finished_at.label("ended"),
        )
        .where(jobs.c.finished_at.is_not(None))
        .order_by(jobs.c.finished_at.desc())
        .limit(newest)
        .cte("sample")
    )
    groups = select(
        sample.c.job_type,
        func.count().label("jobs"),
        func.count().filter(sample.c.status == "failed"),
        func.percentile_cont([0.5, 0.95], type_=ARRAY(Double)).within_group(sample.c.took),
        func.percentile_cont(0.5).within_group(sample.c.waited),
        func.max(sample.c.ended),
        *_slices(sample),
    ).group_by(sample.c.job_type)
    report = _report(conn, sample, groups, tuple)
    finished = {row[0]: row[1:] for row in report.rows}
    active = _active_types(conn, wanted)
    rows = [_type_row(name, active.get(name), finished.get(name)) for name in finished.keys() | active.keys()]
    rows.sort(key=lambda row: (-row.running, -row.queued, -row.finished, row.job_type))
    return report._replace(rows=rows)


def _active_types(conn: Connection, wanted: Filter) -> dict[str, tuple[int, int]]:
    running = func.count().filter(jobs.c.status == "in_progress")
    query = found(wanted, jobs.c.job_type, func.count(), running).where(ACTIVE).group_by(jobs.c.job_type)
    return {name: (count - running, running) for name, count, running in conn.execute(query)}


def _type_row(name: str, active: tuple[int, int] | None, finished: tuple[Any, ...] | None) -> TypeRow:
    queued, running = active or (0, 0)
    if finished is None:
        return TypeRow(name, queued, running, 0, 0, None, None, None, None, (0,) * SLICES)
    count, failures, middle, waits, last, slices = finished
    p50, p95 = middle or (None, None)
    return TypeRow(name, queued, running, count, failures, p50, p95, waits, aware(last), _history(slices))


@statement(deadline=PROMPT)
def read_kernels(conn: Connection, limit: int) -> list[KernelRow]:
    """The processes that run or ran jobs: those with unfinished ones first, then the newest."""
    stopping = func.count().filter(jobs.c.cancel_requested_at.is_not(None)).label("stopping")
    running = func.count().filter(jobs.c.status == "in_progress").label("running")
    columns = (jobs.c.kernel_id, func.count().label("unfinished"), running, stopping)
    active = select(*columns).where(ACTIVE).group_by(jobs.c.kernel_id).subquery("active")
    counts = [func.coalesce(column, 0) for column in (active.c.running, active.c.unfinished, active.c.stopping)]
    query = select(kernels, *counts).outerjoin_from(kernels, active, active.c.kernel_id == kernels.c.kernel_id)
    by_work = (active.c.unfinished.desc().nulls_last(), kernels.c.started_at.desc())
    return [_kernel_row(*row) for row in conn.execute(query.order_by(*by_work).limit(limit))]


@statement(deadline=PROMPT)
def read_kernel(conn: Connection, kernel_id: UUID) -> KernelRow | None:
    """One process that runs or ran jobs; None if it is not registered."""
    mine = (jobs.c.kernel_id == kernel_id) & ACTIVE
    running = func.count().filter(jobs.c.status == "in_progress")
    stopping = func.count().filter(jobs.c.cancel_requested_at.is_not(None))
    row = conn.execute(select(kernels).where(kernels.c.kernel_id == kernel_id)).first()
    if row is None:
        return None
    unfinished, at_work, ending = conn.execute(select(func.count(), running, stopping).where(mine)).one()
    return _kernel_row(*row, at_work, unfinished, ending)


def _kernel_row(*values: Any) -> KernelRow:
    kernel_id, host, _, pid, user, notebook, python, started, heartbeat, stopped, running, unfinished, stopping = values
    return KernelRow(
        kernel_id, host, pid, user, notebook, python, started.astimezone(UTC), heartbeat.astimezone(UTC),
        aware(stopped), running, unfinished - running, stopping,
    )  # fmt: skip


def _slices(sample: CTE) -> tuple[Any]:
    """In which slice of the time that the sample covers each job of a group ended."""
    span = select(func.min(sample.c.ended).label("since"), func.max(sample.c.ended).label("until")).subquery("span")
    since, until = select(span.c.since).scalar_subquery(), select(span.c.until).scalar_subquery()
    length = func.greatest(func.extract("epoch", until - since), 0.001)
    part = func.extract("epoch", sample.c.ended - since) / length * SLICES
    return (func.array_agg(func.least(func.floor(part), SLICES - 1)),)


def _report(conn: Connection, sample: CTE, groups: Select[Any], make: Callable[[tuple[Any, ...]], Any]) -> Report:
    """Run a query for groups of a sample; what the sample covers comes in the same statement."""
    found_groups = groups.subquery("found")
    span = select(
        func.clock_timestamp().label("now"), func.count().label("examined"), func.min(sample.c.ended).label("since")
    ).subquery("covered")
    rows = conn.execute(select(*span.c, *found_groups.c).select_from(span.outerjoin(found_groups, true()))).all()
    now, examined, since = rows[0][:3]
    return Report([make(tuple(row[3:])) for row in rows if examined], examined, aware(since), now.astimezone(UTC))


def _history(slices: list[Any]) -> tuple[int, ...]:
    counted = Counter(int(one) for one in slices if one is not None)
    return tuple(counted[at] for at in range(SLICES))
