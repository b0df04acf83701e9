"""Places in the order of jobs, as SQL: newest `created_at` first, then highest id; rows without a time come last.

`jobs_created_idx`, read backwards, has this order. It is right for time-ordered ids and for the random ones that
other tools insert.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import ColumnElement, DateTime, Text, and_, any_, cast, func, literal, or_, select, true, tuple_
from sqlalchemy.dialects.postgresql import ARRAY

from jobnb.db.queries.filtering import conditions
from jobnb.db.rows import Mark
from jobnb.db.tables import jobs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnCollection, Connection, Select

    from jobnb.db.terms import Filter

    Columns = ColumnCollection[str, ColumnElement[Any]]

NEWEST_FIRST = (jobs.c.created_at.desc().nulls_last(), jobs.c.job_id.desc())
OLDEST_FIRST = (jobs.c.created_at.asc().nulls_first(), jobs.c.job_id.asc())

WITHOUT_TIME = Mark(None, UUID(int=2**128 - 1))
"""The place before the rows without a time: a range of the index ends there."""


TOP = Mark("infinity", UUID(int=2**128 - 1))
"""The place above all jobs."""


def mark_columns(columns: Columns | None = None) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    """The two columns of a mark; the time as text, because Python has no `infinity` and no years BC."""
    source = jobs.c if columns is None else columns
    return cast(source["created_at"], Text).label("created_text"), source["job_id"]


def place_columns(mark: Mark) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    """A mark as `created_at` and `job_id`, to compare with."""
    created = cast(literal(mark.created, Text), DateTime).label("created_at")
    return created, literal(mark.job_id, jobs.c.job_id.type).label("job_id")


def at_or_below(mark: Mark) -> ColumnElement[bool]:
    """The jobs at a place and below it, as far as one range of the index goes: see `continues`."""
    if mark.created is None:
        return and_(jobs.c.created_at.is_(None), jobs.c.job_id <= mark.job_id)
    return _key() <= _value(mark)


def below(mark: Mark) -> ColumnElement[bool]:
    """The jobs below a place, as far as one range of the index goes: see `continues`."""
    if mark.created is None:
        return and_(jobs.c.created_at.is_(None), jobs.c.job_id < mark.job_id)
    return _key() < _value(mark)


def above(mark: Mark) -> ColumnElement[bool]:
    """The jobs above a place."""
    if mark.created is None:
        return or_(jobs.c.created_at.is_not(None), jobs.c.job_id > mark.job_id)
    return _key() > _value(mark)


def not_above(mark: Mark) -> ColumnElement[bool]:
    """The jobs at a place and below it, all of them; not for a range of the index from there on."""
    return or_(jobs.c.created_at.is_(None), _key() <= _value(mark)) if mark.created else at_or_below(mark)


def continues(mark: Mark | None) -> bool:
    """True if rows without a time may follow where the range below `mark` has ended."""
    return mark is not None and mark.created is not None


def one_of(job_ids: Sequence[UUID]) -> ColumnElement[bool]:
    """The jobs with these ids, however many: they travel as one array."""
    return jobs.c.job_id == any_(cast(list(job_ids), ARRAY(jobs.c.job_id.type)))


def found(wanted: Filter, *columns: Any) -> Select[Any]:
    """A SELECT of the wanted jobs."""
    return select(*columns).select_from(jobs).where(and_(true(), *conditions(wanted.terms)))


def ordered(
    wanted: Filter,
    columns: Sequence[ColumnElement[Any]],
    where: ColumnElement[bool] | None = None,
    *,
    few: bool = False,
) -> Select[Any]:
    """A SELECT of the wanted jobs, newest first.

    Args:
        wanted: which jobs.
        columns: what to read; `created_at` and `job_id` among them.
        where: one more condition.
        few: find them all and sort them. Without it the planner may go down the whole table by age until it has met
            enough of them, because it takes them to be spread evenly: those that run are all near the top.
    """
    query = found(wanted, *columns)
    query = query if where is None else query.where(where)
    if not few:
        return query.order_by(*NEWEST_FIRST)
    all_of_them = query.cte("few").prefix_with("MATERIALIZED", dialect="postgresql")
    newest_first = (all_of_them.c.created_at.desc().nulls_last(), all_of_them.c.job_id.desc())
    return select(all_of_them).order_by(*newest_first)


def count_above(conn: Connection, wanted: Filter, mark: Mark, limit: int) -> int:
    """Count the wanted jobs above a place, no further than `limit`."""
    return _count(conn, found(wanted, literal(1).label("one")).where(above(mark)).limit(limit))


def count_below(conn: Connection, wanted: Filter, mark: Mark) -> int:
    """Count the wanted jobs below a place, as far as one range of the index goes: see `continues`."""
    return _count(conn, found(wanted, literal(1).label("one")).where(below(mark)))


def count_between(conn: Connection, wanted: Filter, upper: Mark, lower: Mark, limit: int) -> int:
    """Count the wanted jobs above one place, from another one on, no further than `limit`."""
    query = found(wanted, literal(1).label("one")).where(above(lower)).limit(limit)
    if lower.created is None:
        return _count(conn, query.where(not_above(upper)))
    # the planner does not see that two comparisons of pairs bound a range, only that these two do
    first, last = place_columns(upper)[0], place_columns(lower)[0]
    return _count(conn, query.where(at_or_below(upper), jobs.c.created_at <= first, jobs.c.created_at >= last))


def _count(conn: Connection, query: Select[Any]) -> int:
    return int(conn.execute(select(func.count()).select_from(query.subquery("counted"))).scalar_one())


def _key() -> ColumnElement[Any]:
    return tuple_(jobs.c.created_at, jobs.c.job_id)


def _value(mark: Mark) -> ColumnElement[Any]:
    return tuple_(*place_columns(mark))
