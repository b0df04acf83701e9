"""`blocking` and `awaitable`: a plain query function becomes a method of a facade.

A query is written once, as `def get_job(conn: Connection, job_id: UUID) -> Job`. In a class body,
`get_job = blocking(queries.get_job)` makes it a method without `conn`: at run time `functools.wraps` keeps name,
docstring and source, and binding drops the first parameter of the signature, `conn` here, as it drops `self`.
For type checkers the result is a descriptor; a bare `Callable` in a class body is bound as a method by some of
them and not by others.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from sqlalchemy import Connection

P = ParamSpec("P")
R = TypeVar("R", covariant=True)  # noqa: PLC0105 - the usual name for "what is returned"


class Method(Protocol[P, R]):
    """What a function in a class body is: a descriptor that gives `Callable[P, R]`."""

    def __get__(self, instance: Any, owner: type | None = None, /) -> Callable[P, R]: ...


def blocking(query: Callable[Concatenate[Connection, P], R]) -> Method[P, R]:
    """Make a method that runs `query` by the object's own `run` and returns its result."""

    @functools.wraps(query)
    def method(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> R:
        __tracebackhide__ = True
        return cast("R", self.run(query, *args, **kwargs))

    return cast("Method[P, R]", method)


def awaitable(query: Callable[Concatenate[Connection, P], R]) -> Method[P, Coroutine[Any, Any, R]]:
    """Make a coroutine method that runs `query` by the object's own `run_async`.

    A cancelled `await` stops waiting; the statement may still have been executed.
    """

    @functools.wraps(query)
    async def method(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> R:
        __tracebackhide__ = True
        return cast("R", await self.run_async(query, *args, **kwargs))

    return cast("Method[P, Coroutine[Any, Any, R]]", method)
