"""Jobs that are new and have ended well at once, many of them, column by column.

Most jobs of a burst are such ones when their record is sent, with nothing but times and a value to tell. As arrays the
server reads them in a quarter of the time that `json_to_recordset` takes (benchmarks/write_path.py); whatever is not so
plain goes through `record_new`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jobnb.db.queries.record import SHARED, assignments, execute, newer, records, timestamp

if TYPE_CHECKING:
    import psycopg

_OWN = ("created_at", "attempt", "status", "started_at", "finished_at", "duration_s", "result")
_COMMON = tuple(name for name in SHARED if name != "created_at")
_COMMON_VALUES = ", ".join("coalesce(s.max_attempts, 1)" if name == "max_attempts" else f"s.{name}" for name in _COMMON)

_INSERT = f"""
    INSERT INTO jobs AS j (job_id, {", ".join((*_OWN, *_COMMON))})
    SELECT r.job_id, {timestamp("coalesce(r.created, s.created_at)")}, 1, 'done', {timestamp("r.started")},
           {timestamp("r.finished")}, r.duration, CAST('{{"result":' || r.result || '}}' AS jsonb), {_COMMON_VALUES}
    FROM unnest(CAST($2 AS uuid[]), CAST($3 AS int[]), CAST($4 AS float8[]), CAST($5 AS float8[]),
                CAST($6 AS float8[]), CAST($7 AS float8[]), CAST($8 AS text[]))
         AS r(job_id, place, created, started, finished, duration, result)
    LEFT JOIN {records("$1", "s", SHARED, "place int")} ON s.place = r.place
    ON CONFLICT (job_id) DO UPDATE SET {assignments("excluded", "excluded.result")}
    WHERE {newer("excluded")}
"""


def record_done(conn: psycopg.Connection[Any], shared: str, *arrays: str) -> None:
    """Store jobs that are new, and done in their first attempt.

    Args:
        conn: a connection that commits by itself.
        shared: a JSON array of the columns that several of them have in common, each object with its `place`.
        arrays: seven array literals of the same length: ids, the place of what the job shares; when it was accepted,
            began and ended, in seconds since 1970 (the first NULL if that is shared); how long it ran, in seconds; and
            its value as JSON.
    """
    execute(conn, _INSERT, shared, *arrays)
