"""How a query function tells the database door what it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., Any]")

DEFAULT_DEADLINE = 10.0
"""Seconds a query may take before its connection is cut, so that no caller hangs on a frozen server."""


def statement(*, transaction: bool = False, deadline: float = DEFAULT_DEADLINE) -> Callable[[F], F]:
    """Say that a query has several statements that belong together, or may take long.

    Args:
        transaction: run it between BEGIN and COMMIT; without it, every statement commits by itself, which is three
            times as fast, and the whole query is run a second time if its connection broke. So only what may be
            repeated goes without: reads, and changes that make no difference the second time.
        deadline: seconds.
    """

    def mark(query: F) -> F:
        query.__dict__.update(jobnb_transaction=transaction, jobnb_deadline=deadline)
        return query

    return mark


def needs_transaction(query: Callable[..., Any]) -> bool:
    """True if the query was marked with `statement(transaction=True)`."""
    return bool(getattr(query, "jobnb_transaction", False))


def deadline_of(query: Callable[..., Any]) -> float:
    """Seconds the query may take."""
    return float(getattr(query, "jobnb_deadline", DEFAULT_DEADLINE))
