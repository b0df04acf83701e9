"""What a tool that looks on wants to know about the server and its own role."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

from sqlalchemy import text

from jobnb.db.statement import statement

if TYPE_CHECKING:
    from sqlalchemy import Connection


class ServerFacts(NamedTuple):
    """What is on the other side.

    Attributes:
        version: PostgreSQL's version.
        database: the database's name.
        role: who we are.
        is_standby: True for a read-only copy.
        is_read_only: True if transactions are read-only by default here.
        may_update: the role may change the columns that a cancel request changes.
        may_insert: it may add jobs.
        may_delete: it may delete jobs.
        has_pooler: True if the session that answered is not the one that libpq was told of, so something is between.
    """

    version: str
    database: str
    role: str
    is_standby: bool
    is_read_only: bool
    may_update: bool
    may_insert: bool
    may_delete: bool
    has_pooler: bool


_FACTS = text("""
    SELECT split_part(current_setting('server_version'), ' ', 1), current_database()::text, current_user::text,
           pg_is_in_recovery(), current_setting('default_transaction_read_only') = 'on',
           coalesce((SELECT bool_and(has_column_privilege('jobs', name, 'UPDATE')) FROM unnest(ARRAY[
               'cancel_requested_at', 'cancel_force', 'status', 'finished_at', 'error_kind', 'error_message'
           ]) name), false),
           has_table_privilege('jobs', 'INSERT'), has_table_privilege('jobs', 'DELETE'), pg_backend_pid()
""")


@statement(deadline=5.0)
def facts(conn: Connection) -> ServerFacts:
    """Look at the server and the role; the tables must be there."""
    told = conn.execute(_FACTS).one()
    driver = cast("Any", conn.connection.driver_connection)
    return ServerFacts._make((*told[:-1], told[-1] != driver.info.backend_pid))
