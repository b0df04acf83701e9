"""Queries that change many jobs at once: what would be changed, and one batch of it.

A batch locks its rows in the order of their ids, so that two of them can't wait for each other, and commits by itself.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Text,
    and_,
    any_,
    case,
    cast,
    column,
    delete,
    func,
    insert,
    literal_column,
    select,
    text,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from jobnb.db.queries.filtering import ACTIVE, conditions
from jobnb.db.queries.places import (
    NEWEST_FIRST,
    WITHOUT_TIME,
    at_or_below,
    below,
    continues,
    mark_columns,
    not_above,
    one_of,
)
from jobnb.db.queries.requests import RETRY_KEEPS, cancel_request
from jobnb.db.rows import SILENT_SECONDS, Mark
from jobnb.db.statement import statement
from jobnb.db.tables import jobs, kernels, logs, values
from jobnb.ids import new_job_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from uuid import UUID

    from sqlalchemy import Connection, Select, Table

    from jobnb.db.terms import Filter

Deed = Literal["cancel", "force", "retry", "delete"]

ENDED = jobs.c.status.in_(("done", "failed"))
_ALIVE = select(kernels.c.kernel_id).where(kernels.c.kernel_id == jobs.c.kernel_id, kernels.c.stopped_at.is_(None))
_SHOWN_IDS = 10
_DIALECT = PGDialect_psycopg()  # type: ignore[no-untyped-call] # SQLAlchemy left its __init__ untyped
_CLAUSE = re.compile(r"'(?:[^']|'')*'|\s+(SET|FROM|WHERE|AND) ")
"""A text in quotes, which stays as it is, or a word that begins a line."""


class Targets(NamedTuple):
    """How many jobs there are of one kind, among those that an action is about.

    Attributes:
        status: their status.
        kernel: their process: `none`, `unknown`, `gone`, `silent` (no sign of life for 30 s) or `alive`.
        asked: True if they were asked to stop before, in the same way.
        jobs: how many.
    """

    status: str
    kernel: str
    asked: bool
    jobs: int


def eligible(deed: Deed) -> ColumnElement[bool]:
    """The jobs that an action changes; all others are left alone."""
    if deed in ("cancel", "force"):
        return and_(ACTIVE, ~_asked(deed))
    return ENDED if deed == "delete" else and_(ENDED, _ALIVE.exists())


def targets(wanted: Filter | None, job_ids: Sequence[UUID], until: Mark | None) -> ColumnElement[bool]:
    """The jobs that an action is about: those with these ids, or the wanted ones at or below a place."""
    if wanted is None:
        return one_of(job_ids)
    return and_(true() if until is None else not_above(until), *conditions(wanted.terms))


@statement(deadline=60.0)
def count_targets(
    conn: Connection, deed: Deed, wanted: Filter | None, job_ids: Sequence[UUID], until: Mark | None
) -> list[Targets]:
    """Count the jobs that an action is about, by what can be done to them."""
    state = _kernel_state().label("kernel")
    asked = _asked(deed).label("asked")
    status = func.coalesce(cast(jobs.c.status, Text), "scheduled").label("status")
    query = select(status, state, asked, func.count()).outerjoin_from(
        jobs, kernels, kernels.c.kernel_id == jobs.c.kernel_id
    )
    query = query.where(targets(wanted, job_ids, until)).group_by(status, state, asked)
    return [Targets(*row) for row in conn.execute(query)]


@statement(deadline=30.0)
def next_batch(conn: Connection, deed: Deed, wanted: Filter, start: Mark, limit: int, *, inclusive: bool) -> list[Mark]:
    """The next jobs of a filter that an action changes, from a place downwards."""
    found = select(*mark_columns()).where(eligible(deed), *conditions(wanted.terms)).order_by(*NEWEST_FIRST)
    rows = conn.execute(found.where(at_or_below(start) if inclusive else below(start)).limit(limit)).all()
    if not rows and continues(start):
        rows = conn.execute(found.where(at_or_below(WITHOUT_TIME)).limit(limit)).all()
    return [Mark(*row) for row in rows]


@statement(transaction=True, deadline=60.0)
def cancel_many(conn: Connection, job_ids: Sequence[UUID], *, force: bool = False) -> list[tuple[UUID, str, str]]:
    """Ask unfinished jobs to stop, as `cancel_job` does.

    Returns:
        The jobs that were asked, each with its status now and its process (see `Targets.kernel`).
    """
    locked = _locked(job_ids, eligible("force" if force else "cancel"))
    changed = (
        update(jobs)
        .where(jobs.c.job_id.in_(locked))
        .values(cancel_request(force=force))
        .returning(jobs.c.job_id, cast(jobs.c.status, Text))
    )
    status = {row[0]: row[1] for row in conn.execute(changed)}
    state = select(jobs.c.job_id, _kernel_state()).outerjoin_from(
        jobs, kernels, kernels.c.kernel_id == jobs.c.kernel_id
    )
    found = conn.execute(state.where(one_of(list(status))))
    return [(job_id, status[job_id], kernel) for job_id, kernel in found]


@statement(transaction=True, deadline=60.0)
def withdraw_cancels(conn: Connection, job_ids: Sequence[UUID]) -> list[UUID]:
    """Take back what `cancel_many` asked for, of jobs that have not ended; returns their ids."""
    locked = _locked(job_ids, and_(ACTIVE, jobs.c.cancel_requested_at.is_not(None)))
    changed = update(jobs).where(jobs.c.job_id.in_(locked)).values(cancel_requested_at=None, cancel_force=None)
    return [row[0] for row in conn.execute(changed.returning(jobs.c.job_id))]


@statement(transaction=True, deadline=60.0)
def retry_many(conn: Connection, job_ids: Sequence[UUID]) -> list[tuple[UUID, UUID]]:
    """Ask for finished jobs to be run again by the processes that ran them, as `retry_job` does.

    Returns:
        The jobs that will be, each with the id of the new one.
    """
    new = {job_id: new_job_id() for job_id in job_ids}
    columns = (column("old", jobs.c.job_id.type), column("new", jobs.c.job_id.type))
    pairs = func.unnest(_ids(new), _ids(new.values())).table_valued(*columns).render_derived("pairs")
    now = func.timezone("utc", func.clock_timestamp())
    kept = [jobs.c[name] for name in RETRY_KEEPS]
    rows = select(pairs.c.new, pairs.c.old, now, *kept).join_from(pairs, jobs, jobs.c.job_id == pairs.c.old)
    added = insert(jobs).from_select(
        ["job_id", "retry_of", "created_at", *RETRY_KEEPS], rows.where(eligible("retry")), include_defaults=False
    )
    return [(row[0], row[1]) for row in conn.execute(added.returning(jobs.c.retry_of, jobs.c.job_id))]


class Deleted(NamedTuple):
    """Rows that were deleted, as text that the server made and can read again.

    Attributes:
        jobs: rows of `jobs`.
        logs: rows of `job_logs`.
        values: rows of `job_values`.
    """

    jobs: list[str]
    logs: list[str]
    values: list[str]


@statement(deadline=30.0)
def weigh(conn: Connection, job_ids: Sequence[UUID]) -> int:
    """About how many bytes some jobs take, with their logs and values."""
    total = 0
    for table in (jobs, logs, values):
        size = func.coalesce(func.sum(func.pg_column_size(_whole_row(table))), 0)
        total += int(conn.execute(select(size).select_from(table).where(_of(table, job_ids))).scalar_one())
    return total


@statement(transaction=True, deadline=300.0)
def delete_many(conn: Connection, job_ids: Sequence[UUID], *, keep: bool) -> tuple[list[UUID], Deleted]:
    """Delete finished jobs with their logs and values.

    Returns:
        The ids of those that were deleted; with `keep`, their rows too.
    """
    ids = [row[0] for row in conn.execute(_locked(job_ids, eligible("delete")))]
    rows = Deleted(*[_as_text(conn, table, ids) for table in (jobs, logs, values)]) if keep else Deleted([], [], [])
    conn.execute(delete(jobs).where(one_of(ids)))
    return ids, rows


@statement(transaction=True, deadline=300.0)
def restore(conn: Connection, rows: Deleted) -> int:
    """Put deleted jobs back as they were; those whose ids are there again are left alone. Returns how many."""
    restored = 0
    for table, texts in zip((jobs, logs, values), rows, strict=True):
        rows_of = f"unnest(CAST(:rows AS {table.name}[])) r"
        query = text(f"INSERT INTO {table.name} SELECT r.* FROM {rows_of} ON CONFLICT DO NOTHING")
        count = conn.execute(query, {"rows": texts}).rowcount if texts else 0
        restored += count if table is jobs else 0
    return restored


def as_sql(deed: Deed, wanted: Filter | None, job_ids: Sequence[UUID], until: Mark | None) -> str:
    """What an action does to the jobs that it is about, as one statement for psql."""
    if wanted is None:
        about: ColumnElement[bool] = jobs.c.job_id.in_(job_ids[:_SHOWN_IDS])
    else:
        about = targets(wanted, (), until)
    which = and_(about, eligible(deed))
    statements: dict[str, Any] = {
        "cancel": update(jobs).where(which).values(cancel_request()),
        "force": update(jobs).where(which).values(cancel_request(force=True)),
        "delete": delete(jobs).where(which),
        "retry": select(jobs.c.job_id, *[jobs.c[name] for name in RETRY_KEEPS]).where(which),
    }
    shown = _literally(statements[deed])
    if deed == "retry":
        names = ", ".join(("retry_of", *RETRY_KEEPS))
        shown = f"INSERT INTO jobs ({names})\n{shown}"
    left_out = 0 if wanted is not None else len(job_ids) - _SHOWN_IDS
    return f"{shown};" + (f"\n-- and {left_out:,} more ids" if left_out > 0 else "")


def _literally(query: Any) -> str:
    compiled = str(query.compile(dialect=_DIALECT, compile_kwargs={"literal_binds": True})).replace("%%", "%")
    return _CLAUSE.sub(lambda found: f"\n{found[1]} " if found[1] else found[0], compiled)


def _asked(deed: Deed) -> ColumnElement[bool]:
    return func.coalesce(jobs.c.cancel_force, False) if deed == "force" else jobs.c.cancel_requested_at.is_not(None)


def _kernel_state() -> ColumnElement[str]:
    """How a job's process is; the table of kernels has to be joined."""
    is_silent = and_(ACTIVE, kernels.c.heartbeat < func.now() - text(f"interval '{SILENT_SECONDS:g} seconds'"))
    return case(
        (jobs.c.kernel_id.is_(None), "none"),
        (kernels.c.kernel_id.is_(None), "unknown"),
        (kernels.c.stopped_at.is_not(None), "gone"),
        (is_silent, "silent"),
        else_="alive",
    )


def _locked(job_ids: Sequence[UUID], which: ColumnElement[bool]) -> Select[Any]:
    return select(jobs.c.job_id).where(one_of(job_ids), which).order_by(jobs.c.job_id).with_for_update()


def _ids(job_ids: Iterable[UUID]) -> ColumnElement[Any]:
    return cast(list(job_ids), ARRAY(jobs.c.job_id.type))


def _of(table: Table, job_ids: Sequence[UUID]) -> ColumnElement[bool]:
    return table.c.job_id == any_(_ids(job_ids))


def _whole_row(table: Table) -> ColumnElement[Any]:
    return literal_column(table.name)


def _as_text(conn: Connection, table: Table, job_ids: Sequence[UUID]) -> list[str]:
    query = select(cast(_whole_row(table), Text)).select_from(table).where(_of(table, job_ids))
    return [row[0] for row in conn.execute(query)]
