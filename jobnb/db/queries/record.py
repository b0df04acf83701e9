"""The statements of the recorder: many jobs at once, safe to repeat, never backwards.

One JSON text goes in, `json_to_recordset` makes rows of it: the simplest form near the limit of what a connection can
take (benchmarks/write_path.py). Each statement commits by itself, so that a client that vanishes leaves no row locks
behind. A record may arrive twice, or late: `(attempt, job_rank)` only ever grows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from jobnb.db.tables import jobs

if TYPE_CHECKING:
    from sqlalchemy import Column, Connection, Dialect

# a client never records its own cancel requests: that column belongs to whoever asks
_COLUMNS = [column for column in jobs.c if column.name != "cancel_requested_at"]
_NAMES = ", ".join(column.name for column in _COLUMNS)


_DIALECT: Dialect = PGDialect_psycopg()  # type: ignore[no-untyped-call] # SQLAlchemy left its __init__ untyped


def _sql_type(column: Column[Any]) -> str:
    name = column.type.compile(dialect=_DIALECT)
    return "timestamp" if name.startswith("TIMESTAMP") else name


_RECORDS = (
    "json_to_recordset(CAST(%(records)s AS json)) AS r("
    + ", ".join(f"{column.name} {_sql_type(column)}" for column in _COLUMNS)
    + ")"
)
_DEFAULTS = {
    "attempt": "1",
    "max_attempts": "1",
    "result": "'{}'::jsonb",
    "status": "'scheduled'::job_status",
}
_VALUES = ", ".join(
    f"coalesce(r.{column.name}, {_DEFAULTS[column.name]})" if column.name in _DEFAULTS else f"r.{column.name}"
    for column in _COLUMNS
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


def _assignments(new: str, result: str) -> str:
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


_NEWER = """
    (j.attempt, job_rank(j.status, j.error_kind)) < ({new}.attempt, job_rank({new}.status, {new}.error_kind))
    OR (j.attempt = {new}.attempt AND job_rank(j.status, j.error_kind) = job_rank({new}.status, {new}.error_kind)
        AND job_rank(j.status, j.error_kind) <= 1)
"""

_INSERT = f"""
    INSERT INTO jobs AS j ({_NAMES}) SELECT {_VALUES} FROM {_RECORDS}
    ON CONFLICT (job_id) DO UPDATE SET {_assignments("excluded", "excluded.result")}
    WHERE {_NEWER.format(new="excluded")}
"""

_UPDATE = f"""
    UPDATE jobs AS j SET {_assignments("r", "coalesce(r.result, j.result)")}
    FROM {_RECORDS} WHERE j.job_id = r.job_id AND ({_NEWER.format(new="r")})
"""

_INSERT_LOGS = """
    INSERT INTO job_logs (job_id, n, at, stream, line)
    SELECT r.job_id, r.n, r.at, r.stream, r.line
    FROM json_to_recordset(CAST(%(records)s AS json)) AS r(job_id uuid, n int, at timestamptz, stream text, line text)
    WHERE EXISTS (SELECT FROM jobs WHERE jobs.job_id = r.job_id)
    ON CONFLICT (job_id, n) DO NOTHING
"""


def record_new(conn: Connection, records: str) -> None:
    """Store jobs that are new, in whatever state they have reached.

    Args:
        conn: a connection that commits by itself.
        records: a JSON array; the objects have the columns of `jobs` as keys, `job_id` and `attempt` always among
            them, and are about different jobs.
    """
    conn.exec_driver_sql(_INSERT, {"records": records})


def record_progress(conn: Connection, records: str) -> None:
    """Bring jobs that have a row up to date; a job whose row was deleted does not come back.

    Args:
        conn: a connection that commits by itself.
        records: like those of `record_new`; keys that are missing leave their column as it is.
    """
    conn.exec_driver_sql(_UPDATE, {"records": records})


def insert_logs(conn: Connection, records: str) -> None:
    """Store log lines; lines that are there already, and lines of deleted jobs, are left out.

    Args:
        conn: a connection that commits by itself.
        records: a JSON array of objects with `job_id`, `n`, `at`, `stream` and `line`.
    """
    conn.exec_driver_sql(_INSERT_LOGS, {"records": records})
