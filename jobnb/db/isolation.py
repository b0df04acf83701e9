"""Connect to the embedded server whatever the environment says about other PostgreSQL servers.

libpq takes every parameter that it isn't given from a variable (`PGPORT`, `PGSSLMODE`...) or, where `PGSERVICE` is
set, from a service file: meant for the user's other servers, and enough to miss this one or be refused by it.
"""

from __future__ import annotations

import functools
import os
from typing import Any

import psycopg
from psycopg import pq

from jobnb.errors import ConfigurationError

_PARAMETERS = {
    "port": "5432",
    "hostaddr": "",
    "connect_timeout": "5",
    "options": "",
    "client_encoding": "UTF8",
    "application_name": "jobnb",
    "target_session_attrs": "any",
    "load_balance_hosts": "disable",
    # none is asked for; but without one, libpq reads ~/.pgpass and complains about its mode on standard error
    "password": "none",
    "require_auth": "none",
    "channel_binding": "disable",
    "gssencmode": "disable",
    "sslmode": "disable",
    "sslnegotiation": "postgres",
    "sslcertmode": "disable",
    "sslrootcert": "",
    "ssl_min_protocol_version": "",
    "ssl_max_protocol_version": "",
    "min_protocol_version": "3.0",
    "max_protocol_version": "3.0",
}

# These are obeyed on every connection, and no parameter can say otherwise: what they mean in libpq's error, and how
# a session takes them back. https://www.postgresql.org/docs/current/libpq-envars.html
_INESCAPABLE = {
    "PGSERVICE": ("service", ""),
    "PGTZ": ('"TimeZone"', "SET TimeZone = 'UTC'"),
    "PGDATESTYLE": ('"DateStyle"', "SET DateStyle = 'ISO, MDY'"),
    "PGGEQO": ('"geqo"', "SET geqo = on"),
}


def isolated(server_account: str) -> dict[str, str]:
    """Parameters for `psycopg.connect` beside host, user and dbname, so that none comes from the environment.

    Args:
        server_account: the OS account that must be at the other end of the socket.
    """
    given = {**_PARAMETERS, "requirepeer": server_account}
    return {keyword: value for keyword, value in given.items() if keyword in _known()}


def connect(**parameters: Any) -> psycopg.Connection[Any]:
    """`psycopg.connect` without what the environment would set in the session.

    Raises:
        psycopg.OperationalError: no connection.
        ConfigurationError: because of a variable; the message names it.
    """
    present = {name: meaning for name, meaning in _INESCAPABLE.items() if name in os.environ}
    try:
        connection: psycopg.Connection[Any] = psycopg.connect(**parameters)
    except psycopg.OperationalError as error:
        for name, (sign, _) in present.items():
            if sign in str(error):
                raise ConfigurationError(
                    f"the environment variable {name} keeps the embedded PostgreSQL from being reached: "
                    f"{' '.join(str(error).split())}; correct or unset it"
                ) from None
        raise
    statements = "; ".join(statement for _, statement in present.values() if statement)
    if statements:
        _run(connection, statements)
    return connection


def _run(connection: psycopg.Connection[Any], statements: str) -> None:
    """Run them outside of a transaction, so that no rollback takes them back."""
    result = connection.pgconn.exec_(statements.encode())
    if result.status == pq.ExecStatus.FATAL_ERROR:
        raise psycopg.OperationalError(result.get_error_message())


@functools.cache
def _known() -> frozenset[str]:
    """What the installed libpq knows; an older one refuses the rest."""
    return frozenset(option.keyword.decode() for option in pq.Conninfo.get_defaults())
