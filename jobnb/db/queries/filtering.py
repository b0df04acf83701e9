"""SQL conditions for a `Filter`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from operator import eq, ge, gt, le, lt
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import ColumnElement, Text, and_, case, cast, false, func, not_, or_, select, true

from jobnb.db.rows import ACTIVE_STATES, FAILED_STATES
from jobnb.db.tables import jobs, kernels
from jobnb.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sqlalchemy import ColumnCollection

    from jobnb.db.terms import Term

    Columns = ColumnCollection[str, ColumnElement[Any]]
    Condition = ColumnElement[bool]

ACTIVE = jobs.c.status.in_(ACTIVE_STATES)
"""Written as the partial index says it, so that the planner sees that they are the same."""

# quoted parts, hexadecimal numbers, ids and numbers: what differs between two messages about the same thing
_VARYING = r"""'[^']*'|"[^"]*"|0x[0-9a-fA-F]+|[0-9a-fA-F-]{8,}|[0-9]+"""


def conditions(terms: Iterable[Term], columns: Columns | None = None) -> list[Condition]:
    """A condition for each term.

    Args:
        terms: which jobs are wanted.
        columns: of the table `jobs`, or of a subquery that has the same ones.

    Raises:
        InvalidInput: a term that has no meaning here.
    """
    return [_condition(term, jobs.c if columns is None else columns) for term in terms]


def fingerprint(message: ColumnElement[Any]) -> ColumnElement[str]:
    """Eight hex digits that are the same for messages which differ in numbers, ids and quoted parts only."""
    plain = func.regexp_replace(func.left(func.coalesce(message, ""), 300), _VARYING, "#", "g")
    return func.left(func.md5(plain), 8)


def took(columns: Columns) -> ColumnElement[Any]:
    """Seconds a job ran, or has been running."""
    until = func.coalesce(columns["finished_at"], func.timezone("utc", func.clock_timestamp()))
    return func.coalesce(columns["duration_s"], func.extract("epoch", until - columns["started_at"]))


def waited(columns: Columns) -> ColumnElement[Any]:
    """Seconds from a job's creation to its start, or to now if it waits."""
    now = case((columns["status"] == "scheduled", func.timezone("utc", func.clock_timestamp())))
    until = func.coalesce(columns["started_at"], now)
    return func.extract("epoch", until - columns["created_at"])


def _condition(term: Term, columns: Columns) -> Condition:
    make = _FIELDS.get(term.field)
    if make is None:
        raise InvalidInput(f"no jobs can be found by {term.field!r}", argument=term.field)
    wanted = or_(false(), *[make(columns, term.operator, value) for value in term.values])
    # a job without the value in question is one that does not meet the condition
    return not_(func.coalesce(wanted, false())) if term.negated else wanted


def _state(columns: Columns, operator: str, state: Any) -> Condition:
    del operator
    status, kind = columns["status"], columns["error_kind"]
    if state == "active":
        return status.in_(ACTIVE_STATES)
    if state == "unsuccessful":
        return status == "failed"
    if state in FAILED_STATES:
        # not coalesce(): the planner has statistics of the column, and none of an expression
        return and_(status == "failed", or_(kind == "error", kind.is_(None)) if state == "failed" else kind == state)
    same: Condition = status == state
    return same


def _id(name: str) -> Callable[[Columns, str, Any], Condition]:
    def make(columns: Columns, operator: str, value: Any) -> Condition:
        column = columns[name]
        condition: Condition = column == value
        if operator == "starts":
            condition = column.between(UUID(value.ljust(32, "0")), UUID(value.ljust(32, "f")))
        if operator == "contains":
            text = func.replace(cast(column, Text), "-", "")
            condition = or_(text.startswith(value), text.endswith(value), func.right(text, 8).startswith(value))
        return condition

    return make


def _text(*names: str) -> Callable[[Columns, str, Any], Condition]:
    def make(columns: Columns, operator: str, value: str) -> Condition:
        return or_(false(), *[_compare_text(columns[name], operator, value) for name in names])

    return make


def _compare_text(column: ColumnElement[Any], operator: str, value: str) -> Condition:
    if operator == "is":
        return column == value
    if operator == "starts":
        return column.startswith(value, autoescape=True)
    if operator == "like":
        return column.ilike(_pattern(value), escape="\\")
    return column.icontains(value, autoescape=True)


def _pattern(value: str) -> str:
    for special in "\\%_":
        value = value.replace(special, f"\\{special}")
    return value.replace("*", "%").replace("?", "_")


def _moment(name: str) -> Callable[[Columns, str, Any], Condition]:
    def make(columns: Columns, operator: str, value: datetime | timedelta) -> Condition:
        if isinstance(value, timedelta):  # by the server's clock, and always anew
            return _compare(columns[name], operator, func.timezone("utc", func.now()) - value)
        return _compare(columns[name], operator, value.astimezone(UTC).replace(tzinfo=None))

    return make


def _number(expression: Callable[[Columns], ColumnElement[Any]]) -> Callable[[Columns, str, Any], Condition]:
    return lambda columns, operator, value: _compare(expression(columns), operator, value)


def _compare(expression: ColumnElement[Any], operator: str, value: Any) -> Condition:
    compare = {">": gt, ">=": ge, "<": lt, "<=": le}.get(operator, eq)
    condition: Condition = compare(expression, value)
    return condition


def _kernel(columns: Columns, operator: str, value: str) -> Condition:
    named = or_(
        *[_compare_text(kernels.c[name], operator, value) for name in ("host", "notebook", "user")],
        cast(kernels.c.pid, Text) == value,
        func.concat(kernels.c.host, ":", kernels.c.pid) == value,
        func.right(cast(kernels.c.kernel_id, Text), 8) == value,
    )
    return columns["kernel_id"].in_(select(kernels.c.kernel_id).where(named))


def _same(columns: Columns, operator: str, value: str) -> Condition:
    del operator
    return and_(columns["status"] == "failed", fingerprint(columns["error_message"]) == value)


def _flag(columns: Columns, operator: str, value: str) -> Condition:
    del operator
    flags: dict[str, Condition] = {
        "stopping": and_(columns["cancel_requested_at"].is_not(None), columns["status"].in_(ACTIVE_STATES)),
        "retry": columns["retry_of"].is_not(None),
        "unstored": columns["result_error"].is_not(None),
        "untaken": columns["kernel_id"].is_(None),
        "named": columns["name"].is_not(None),
        "grouped": columns["group_id"].is_not(None),
        "all": true(),
    }
    return flags[value]


def _function(columns: Columns, operator: str, value: str) -> Condition:
    return _compare_text(columns["source"]["function"].astext, operator, value)


_FIELDS: dict[str, Callable[[Columns, str, Any], Condition]] = {
    "state": _state,
    "type": _text("job_type"),
    "name": _text("name"),
    "error": _text("error_message"),
    "message": _text("progress_message"),
    "text": _text("name", "job_type", "error_message", "progress_message"),
    "function": _function,
    "executor": _text("executor"),
    "kernel": _kernel,
    "id": _id("job_id"),
    "group": _id("group_id"),
    "retry_of": _id("retry_of"),
    "document": _id("document_id"),
    "property": _id("property_id"),
    "same": _same,
    "flag": _flag,
    "created": _moment("created_at"),
    "started": _moment("started_at"),
    "finished": _moment("finished_at"),
    "took": _number(took),
    "waited": _number(waited),
    "progress": _number(lambda columns: columns["progress"]),
    "attempt": _number(lambda columns: columns["attempt"]),
}
