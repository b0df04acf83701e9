"""Make one connection to a server: with which options, within which time, and how it reads odd times."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.types.datetime import TimestampLoader, TimestamptzLoader

from jobnb.db import certificates, isolation
from jobnb.db.deadline import connect_within

if TYPE_CHECKING:
    from collections.abc import Callable

    from psycopg.adapt import Loader

    from jobnb.db.embedded import EmbeddedServer
    from jobnb.db.urls import DatabaseURL

CONNECT_SECONDS = 4.5
"""How long one attempt to reach a server may take in all, looking its name up included."""

_OPTIONS: dict[str, Any] = {
    "prepare_threshold": None,
    "connect_timeout": 4,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "application_name": "jobnb",
}


def connect_to_embedded(server: EmbeddedServer) -> psycopg.Connection[Any]:
    """Connect to the embedded server, which runs.

    Raises:
        psycopg.OperationalError: no answer.
    """
    return _connected(functools.partial(isolation.connect, **{**server.conninfo(), **_OPTIONS}))


def connect_to_url(url: DatabaseURL, *, explain: bool) -> psycopg.Connection[Any]:
    """Connect to the server that a URL names; what the URL says wins over our options.

    Args:
        url: which server.
        explain: connect once more, if need be, to say what is wrong with its certificate.

    Raises:
        psycopg.OperationalError: no answer.
    """
    try:
        return _connected(functools.partial(psycopg.connect, **{**_OPTIONS, **url.conninfo()}))
    except psycopg.OperationalError as error:
        reason = certificates.reason(url) if explain and "certificate verify failed" in str(error) else None
        raise error if reason is None else psycopg.OperationalError(f"{str(error).strip()} ({reason})") from None


def _connected(attempt: Callable[[], psycopg.Connection[Any]]) -> psycopg.Connection[Any]:
    connection: psycopg.Connection[Any] = connect_within(CONNECT_SECONDS, attempt)
    return connection


def read_odd_times(connection: psycopg.Connection[Any]) -> None:
    """Let a connection read a time that Python can't express as None, see `_tolerant`."""
    connection.adapters.register_loader("timestamp", _tolerant(TimestampLoader))
    connection.adapters.register_loader("timestamptz", _tolerant(TimestamptzLoader))


def _tolerant(loader: type[Loader]) -> type[Loader]:
    """A loader that reads a time Python can't express (`infinity`, the year 10000, BC) as None.

    One such row, written by another tool, would make a whole listing unreadable.
    """

    class Tolerant(loader):  # type: ignore[misc, valid-type] # a class made from a parameter
        def load(self, data: Any) -> Any:
            try:
                return super().load(data)
            except psycopg.DataError:
                return None

    return Tolerant
