"""Reads `schema.sql`, applies it, and checks which version of it a database follows."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import text

from jobnb.db.statement import statement
from jobnb.errors import SchemaMismatch

if TYPE_CHECKING:
    from sqlalchemy import Connection

VERSION = 2
"""The version of `schema.sql` that this code works with."""


def schema_sql(name: str = "schema.sql") -> str:
    """The text of `schema.sql`, or of a file beside it: from the installed package, or the top of a checkout."""
    installed = resources.files("jobnb") / name
    if installed.is_file():
        return installed.read_text(encoding="utf-8")
    return (Path(__file__).parents[2] / name).read_text(encoding="utf-8")


def version(conn: Connection) -> int:
    """The version the database follows; 0 if jobnb's tables are not there."""
    known = conn.execute(text("SELECT to_regclass('jobnb_schema') IS NOT NULL")).scalar_one()
    return int(conn.execute(text("SELECT version FROM jobnb_schema")).scalar_one()) if known else 0


@statement(transaction=True, deadline=600.0)
def init_database(conn: Connection) -> None:
    """Make the tables, or upgrade older ones in place; does nothing where they are up to date.

    Safe to call from any number of processes at once: they take turns. A table `jobs` made from the job service
    framework's own DDL keeps its rows.

    Raises:
        SchemaMismatch: the database follows a newer jobnb.
        PermissionDenied: the role may not create tables.
    """
    conn.execute(text("SELECT pg_advisory_xact_lock(hashtext('jobnb schema'))"))
    if check(version(conn)):
        return
    conn.exec_driver_sql(schema_sql().replace("%", "%%"))


@statement(transaction=True, deadline=600.0)
def add_roles(conn: Connection) -> None:
    """Make the roles `jobnb_runner` and `jobnb_monitor`, with what they may do; see `roles.sql`.

    Raises:
        PermissionDenied: the role may not create roles, or does not own the tables.
    """
    conn.exec_driver_sql(schema_sql("roles.sql").replace("%", "%%"))


@statement(transaction=True, deadline=600.0)
def add_row_security(conn: Connection) -> None:
    """Let whoever runs jobs see only those of their own role; see `row_security.sql`.

    Raises:
        PermissionDenied: the role does not own the tables.
    """
    conn.exec_driver_sql(schema_sql("row_security.sql").replace("%", "%%"))


def check(found: int) -> bool:
    """True if version `found` is the one this code works with, False if it is older.

    Raises:
        SchemaMismatch: it is newer.
    """
    if found > VERSION:
        raise SchemaMismatch(
            f"this database follows jobnb schema {found}, this jobnb knows schema {VERSION}: "
            "update jobnb here (pip install -U jobnb); nothing was written"
        )
    return found == VERSION
