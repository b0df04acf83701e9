"""The statements of the recorder: many jobs at once, safe to repeat, never backwards.

One JSON text goes in, `json_to_recordset` makes rows of it: the simplest form near the limit of what a connection can
take (benchmarks/write_path.py). Each statement commits by itself, so that a client that vanishes leaves no row locks
behind. A record may arrive twice, or late: `(attempt, job_rank)` only ever grows.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import psycopg
from psycopg.pq import ConnStatus, ExecStatus
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from jobnb.db.tables import jobs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from psycopg.pq.abc import PGresult
    from sqlalchemy import Dialect

# a client never records its own cancel requests: these columns belong to whoever asks
_COLUMNS = [column for column in jobs.c if column.name not in ("cancel_requested_at", "cancel_force")]
_NAMES = ", ".join(column.name for column in _COLUMNS)
# what many jobs have in common comes once a statement, and they name it by its place
SHARED = (
    "document_id",
    "job_type",
    "created_at",
    "property_id",
    "name",
    "initial_data",
    "max_attempts",
    "timeout_s",
    "group_id",
    "kernel_id",
    "executor",
    "source",
)
_TIMES = ("created_at", "started_at", "finished_at")


_DIALECT: Dialect = PGDialect_psycopg()  # type: ignore[no-untyped-call] # SQLAlchemy left its __init__ untyped


def _definition(name: str) -> str:
    # times come as seconds since 1970, which a client makes and a server reads in a fraction of the time
    return f"{name} {'float8' if name in _TIMES else jobs.c[name].type.compile(dialect=_DIALECT)}"


def records(parameter: str, alias: str, names: Iterable[str], place: str = "") -> str:
    """The JSON array of a parameter as a table of these columns."""
    definitions = ", ".join([*map(_definition, names), *([place] if place else [])])
    return f"json_to_recordset(CAST({parameter} AS json)) AS {alias}({definitions})"


_ALL = [column.name for column in _COLUMNS]
_RECORDS = (
    f"{records('$1', 'r', _ALL, 'shared int')}"
    f" LEFT JOIN {records('$2', 's', SHARED, 'place int')} ON s.place = r.shared"
)
_DEFAULTS = {
    "attempt": "1",
    "max_attempts": "1",
    "result": "'{}'::jsonb",
    "status": "'scheduled'::job_status",
}


def _value(name: str, *, with_default: bool) -> str:
    parts = [
        f"r.{name}",
        *([f"s.{name}"] if name in SHARED else []),
        *([_DEFAULTS[name]] if with_default and name in _DEFAULTS else []),
    ]
    value = f"coalesce({', '.join(parts)})" if len(parts) > 1 else parts[0]
    return timestamp(value) if name in _TIMES else value


def timestamp(seconds: str) -> str:
    """The expression that makes seconds since 1970 what the columns of the spec hold: a time in UTC without a zone."""
    return f"timezone('utc', to_timestamp({seconds}))"


_NEW = f"SELECT {', '.join(_value(name, with_default=True) for name in _ALL)} FROM {_RECORDS}"
_CHANGED = (
    f"(SELECT {', '.join(f'{_value(name, with_default=False)} AS {name}' for name in _ALL)} FROM {_RECORDS}) AS r"
)
# what a row keeps once it has it; every other column follows the newest record that names it
_FIRST_WINS = (
    "document_id",
    "job_type",
    "created_at",
    "property_id",
    "name",
    "initial_data",
    "group_id",
    "retry_of",
    "source",  # often long, and stored apart: to write it again with every progress would cost more than the rest
)
_NEVER_SET = (
    "job_id",
    "status",
    "attempt",
    "max_attempts",
    "error_kind",
    "error_message",
    "started_at",
    "result",
)


def assignments(new: str, result: str) -> str:
    """What a record changes in a row: `new` is what the record is called, `result` what the result becomes."""
    plain = [column.name for column in _COLUMNS if column.name not in _FIRST_WINS + _NEVER_SET]
    return ", ".join(
        [
            f"status = coalesce({new}.status, j.status)",
            f"attempt = greatest({new}.attempt, j.attempt)",
            f"max_attempts = greatest({new}.max_attempts, j.max_attempts)",
            f"started_at = coalesce(j.started_at, {new}.started_at)",
            # an end that overwrites a suspicion of loss clears its words
            f"error_kind = {new}.error_kind",
            f"error_message = {new}.error_message",
            f"result = {result}",
            *[f"{name} = coalesce(j.{name}, {new}.{name})" for name in _FIRST_WINS],
            *[f"{name} = coalesce({new}.{name}, j.{name})" for name in plain],
        ]
    )


def newer(new: str) -> str:
    """The condition under which a record says more than the row; a row never goes back."""
    return f"""
        (j.attempt, job_rank(j.status, j.error_kind)) < ({new}.attempt, job_rank({new}.status, {new}.error_kind))
        OR (j.attempt = {new}.attempt AND job_rank(j.status, j.error_kind) = job_rank({new}.status, {new}.error_kind)
            AND job_rank(j.status, j.error_kind) <= 1)
    """


_INSERT = f"""
    INSERT INTO jobs AS j ({_NAMES}) {_NEW}
    ON CONFLICT (job_id) DO UPDATE SET {assignments("excluded", "excluded.result")}
    WHERE {newer("excluded")}
"""

_UPDATE = f"""
    UPDATE jobs AS j SET {assignments("r", "coalesce(r.result, j.result)")}
    FROM {_CHANGED} WHERE j.job_id = r.job_id AND ({newer("r")})
"""

_INSERT_LOGS = """
    INSERT INTO job_logs (job_id, n, at, stream, line)
    SELECT r.job_id, r.n, r.at, r.stream, r.line
    FROM json_to_recordset(CAST($1 AS json)) AS r(job_id uuid, n int, at timestamptz, stream text, line text)
    WHERE EXISTS (SELECT FROM jobs WHERE jobs.job_id = r.job_id)
    ON CONFLICT (job_id, n) DO NOTHING
"""


def record_new(conn: psycopg.Connection[Any], records: str, shared: str = "[]") -> None:
    """Store jobs that are new, in whatever state they have reached.

    Args:
        conn: a connection that commits by itself.
        records: a JSON array; the objects have the columns of `jobs` as keys, `job_id` and `attempt` always among
            them, times as seconds since 1970, and are about different jobs.
        shared: a JSON array of further columns, each object with its `place`, which records name as `shared`.
    """
    execute(conn, _INSERT, records, shared)


def record_progress(conn: psycopg.Connection[Any], records: str, shared: str = "[]") -> None:
    """Bring jobs that have a row up to date; a job whose row was deleted does not come back.

    Args:
        conn: a connection that commits by itself.
        records: like those of `record_new`; keys that are missing leave their column as it is.
        shared: like those of `record_new`.
    """
    execute(conn, _UPDATE, records, shared)


def insert_logs(conn: psycopg.Connection[Any], records: str) -> None:
    """Store log lines; lines that are there already, and lines of deleted jobs, are left out.

    Args:
        conn: a connection that commits by itself.
        records: a JSON array of objects with `job_id`, `n`, `at`, `stream` and `line`.
    """
    execute(conn, _INSERT_LOGS, records)


_prepared: WeakKeyDictionary[psycopg.Connection[Any], set[bytes]] = WeakKeyDictionary()


def execute(conn: psycopg.Connection[Any], sql: str, *texts: str) -> None:
    """One blocking call into libpq, which lets other threads run once, from sending to the answer.

    psycopg's own `execute` sends and waits in pieces; where jobs keep Python busy, the writer waits for its turn
    behind each piece (measured: three quarters of a burst's time). A connection that may prepare statements does:
    to read and plan one of these takes the server longer than to run it for a single job.
    """
    parameters = [text.encode() for text in texts]
    if conn.prepare_threshold is None:
        _check(conn, conn.pgconn.exec_params(sql.encode(), parameters))
        return
    known = _prepared.setdefault(conn, set())
    name = b"jobnb_%08x" % zlib.crc32(sql.encode())
    if name not in known:
        _check(conn, conn.pgconn.prepare(name, sql.encode()))
        known.add(name)
    _check(conn, conn.pgconn.exec_prepared(name, parameters))


def _check(conn: psycopg.Connection[Any], result: PGresult) -> None:
    if result.status == ExecStatus.COMMAND_OK:
        return
    if conn.pgconn.status != ConnStatus.OK:
        raise psycopg.OperationalError(result.get_error_message() or "the connection is gone")
    raise psycopg.errors.error_from_result(result, conn.info.encoding)
