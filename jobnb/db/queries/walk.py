"""Queries that go through many jobs in short steps: to count them, to note places on the way, to search."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import ColumnElement, Integer, Text, and_, case, cast, func, literal, or_, select, true, tuple_

from jobnb.db.queries.filtering import ACTIVE, conditions, took, waited
from jobnb.db.queries.places import (
    NEWEST_FIRST,
    TOP,
    WITHOUT_TIME,
    above,
    below,
    continues,
    count_below,
    found,
    mark_columns,
    one_of,
    ordered,
    place_columns,
)
from jobnb.db.rows import Mark
from jobnb.db.statement import statement
from jobnb.db.tables import jobs, kernels
from jobnb.db.terms import Filter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import Connection, Select


_KEY = (jobs.c.created_at, jobs.c.job_id)


class Step(NamedTuple):
    """One step of a walk downwards.

    Attributes:
        passed: how many jobs it passed.
        marks: places that it noted, each with how many jobs it had passed then, the job at the place included.
        last: the last place it came to; where the next step begins. None if it passed nothing.
        complete: True if nothing is left below.
    """

    passed: int
    marks: list[tuple[int, Mark]]
    last: Mark | None
    complete: bool


@statement(deadline=30.0)
def walk(conn: Connection, wanted: Filter, start: Mark | None, limit: int, every: int, *, few: bool = False) -> Step:
    """Pass up to `limit` of the wanted jobs below a place (None for the top), and note every `every`th place.

    Args:
        wanted: which jobs.
        start: where to begin.
        limit: how many to pass, a multiple of `every`.
        every: how far two places that are noted are apart.
        few: see `places.ordered`.
    """
    if not wanted.terms and (start is None or start.created is not None):
        return _hop(conn, wanted, start or TOP, limit // every, every)
    query = ordered(wanted, (*_KEY, literal(1).label("fits")), None if start is None else below(start), few=few)
    return _step(conn, query, start, limit, every)


def _hop(conn: Connection, wanted: Filter, start: Mark, hops: int, every: int) -> Step:
    """Walk through all jobs: each hop asks the index for the `every`th one from there.

    That is ten times as fast as numbering all of them (measured); with a filter the planner would find and sort
    the wanted jobs for each hop anew.
    """
    seed = select(literal(0).label("n"), *place_columns(start)).cte("hop", recursive=True)
    beyond = tuple_(jobs.c.created_at, jobs.c.job_id) < tuple_(seed.c.created_at, seed.c.job_id)
    landing = found(wanted, *_KEY).where(beyond).order_by(*NEWEST_FIRST).offset(every - 1).limit(1).lateral("landing")
    onward = select(seed.c.n + 1, landing.c.created_at, landing.c.job_id).select_from(seed.join(landing, true()))
    hop = seed.union_all(onward.where(seed.c.n < hops))
    rows = conn.execute(select(hop.c.n, *mark_columns(hop.c)).where(hop.c.n > 0).order_by(hop.c.n)).all()
    marks = [(n * every, Mark(created, job_id)) for n, created, job_id in rows]
    if len(marks) == hops:
        return Step(hops * every, marks, marks[-1][1], complete=False)
    left = count_below(conn, wanted, marks[-1][1] if marks else start)
    return Step(len(marks) * every + left, marks, WITHOUT_TIME, complete=False)


@statement(deadline=30.0)
def search(conn: Connection, wanted: Filter, start: Mark | None, limit: int) -> Step:
    """Look at up to `limit` jobs below a place (None for the top) and note the places of those that are wanted.

    Looked at are the jobs that meet the terms which an index answers; `passed` and `last` are about those.
    """
    rest = and_(true(), *conditions(term for term in wanted.terms if not term.is_indexed))
    fits = cast(func.coalesce(rest, False), Integer).label("fits")
    query = ordered(Filter(wanted.narrow), (*_KEY, fits), None if start is None else below(start))
    return _step(conn, query, start, limit, 1)


def _step(conn: Connection, query: Select[Any], start: Mark | None, limit: int, every: int) -> Step:
    passed = query.limit(limit).subquery("passed")
    n = func.row_number().over(order_by=(passed.c.created_at.desc().nulls_last(), passed.c.job_id.desc()))
    numbered = select(passed, n.label("n"), func.count().over().label("total")).subquery("numbered")
    noted = and_(numbered.c.fits == 1, numbered.c.n % every == 0)
    columns = (numbered.c.n, numbered.c.total, noted.label("noted"), *mark_columns(numbered.c))
    told = select(*columns).where(or_(noted, numbered.c.n == numbered.c.total)).order_by(numbered.c.n)
    rows = conn.execute(told).all()
    marks = [(row.n, Mark(row.created_text, row.job_id)) for row in rows if row.noted]
    total, last = (rows[-1].total, Mark(rows[-1].created_text, rows[-1].job_id)) if rows else (0, None)
    if total == limit:
        return Step(total, marks, last, complete=False)
    if continues(start):
        return Step(total, marks, WITHOUT_TIME, complete=False)
    return Step(total, marks, last, complete=True)


def changed(
    conn: Connection, wanted: Filter, newer: Mark | None, since: datetime | None, limit: int, *, active: bool
) -> list[Mark]:
    """Find the wanted jobs among those that may have become so.

    Args:
        wanted: which jobs.
        newer: look at the jobs above this place; None to look at none of them.
        since: look at the jobs that ended at this time or later; None to look at none of them.
        limit: how many to find of each at most.
        active: look at the unfinished jobs.
    """
    looked_at: list[ColumnElement[bool]] = [above(newer)] if newer is not None else []
    if since is not None:
        looked_at.append(jobs.c.finished_at >= since.astimezone(UTC).replace(tzinfo=None))
    looked_at += [ACTIVE] if active else []
    marks: dict[Mark, None] = {}
    for condition in looked_at:
        query = found(wanted, *mark_columns()).where(condition).order_by(*NEWEST_FIRST).limit(limit)
        marks |= dict.fromkeys(Mark(*row) for row in conn.execute(query))
    return list(marks)


_STATE = case((jobs.c.status == "failed", func.coalesce(jobs.c.error_kind, "error")), else_=cast(jobs.c.status, Text))
_SORTED_BY: dict[str, ColumnElement[Any]] = {
    "finished": jobs.c.finished_at,
    "took": took(jobs.c),
    "waited": waited(jobs.c),
    "type": jobs.c.job_type,
    "name": func.coalesce(jobs.c.name, jobs.c.job_type),
    "state": _STATE,
    "progress": jobs.c.progress,
    "kernel": select(func.coalesce(kernels.c.notebook, kernels.c.host + ":" + cast(kernels.c.pid, Text)))
    .where(kernels.c.kernel_id == jobs.c.kernel_id)
    .scalar_subquery(),
}


@statement(deadline=30.0)
def sort(
    conn: Connection, wanted: Filter, among: Sequence[UUID] | None, key: str, limit: int, *, descending: bool
) -> list[Mark]:
    """Put jobs in another order: some that are given, or the newest `limit` of the wanted ones.

    Args:
        wanted: which jobs, where none are given.
        among: ids of some.
        key: `finished`, `took`, `waited`, `type`, `name`, `state`, `progress` or `kernel`.
        limit: how many at most.
        descending: the greatest first; jobs without the value come last either way, newer ones first among equals.
    """
    value = _SORTED_BY[key].label("value")
    if among is None:
        query = found(wanted, jobs.c.created_at, jobs.c.job_id, value).order_by(*NEWEST_FIRST).limit(limit)
    else:
        query = select(jobs.c.created_at, jobs.c.job_id, value).where(one_of(among))
    picked = query.subquery("picked")
    order = picked.c.value.desc() if descending else picked.c.value.asc()
    newest = (picked.c.created_at.desc().nulls_last(), picked.c.job_id.desc())
    return [Mark(*row) for row in conn.execute(select(*mark_columns(picked.c)).order_by(order.nulls_last(), *newest))]
