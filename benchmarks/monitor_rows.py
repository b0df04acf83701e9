"""Fills a database with rows as jobs leave them, for the monitor's benchmarks and tests.

    python benchmarks/monitor_rows.py --rows 1000000 [--database-url URL]

Without a URL it starts an embedded server in a new folder, leaves it running, and prints its address; stop it with
`kill -INT` of the first line of `postmaster.pid`. Rows are 0.6 s apart; of those 93 % are done, 3 % failed with a
traceback of 1.2 kB, 3.5 % ended otherwise, the newest 0.3 % wait and 0.2 % run; one in a hundred has the random id
that the column's default gives.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

import psycopg

from jobnb.db.embedded import EmbeddedServer
from jobnb.db.schema import schema_sql

TYPES = (
    "train.resnet", "train.bert", "embed.openai", "embed.local", "etl.orders", "etl.users", "report.daily",
    "report.weekly", "scrape.news", "score.batch",
)  # fmt: skip
ERRORS = (
    "ValueError: bad shape (%s, 128)",
    "KeyError: 'user_%s'",
    "TimeoutError: upstream did not answer within 30 s, request 4f%s",
    "MemoryError: can't allocate %s MiB",
    "ConnectionResetError: [Errno 104] from 10.0.0.%s",
)
KERNELS = 40

ADD_KERNELS = """
INSERT INTO jobnb_kernels (kernel_id, host, boot_id, pid, "user", notebook, python, started_at, heartbeat, stopped_at)
SELECT md5('kernel ' || k)::uuid, 'host-' || k %% 8, 'boot', 4000 + k, 'ada',
       CASE WHEN k %% 3 > 0 THEN '/home/ada/notebooks/study-' || k || '.ipynb' END, '3.12.4',
       now() - interval '8 days', now(), CASE WHEN k %% 5 = 0 THEN now() - interval '1 hour' END
FROM generate_series(1, %(kernels)s) k ON CONFLICT DO NOTHING
"""

ADD_JOBS = """
INSERT INTO jobs (job_id, job_type, name, status, error_kind, created_at, started_at, finished_at, duration_s,
                  progress, progress_message, kernel_id, executor, result, error_message, traceback, source)
SELECT CASE WHEN g %% 100 = 7 THEN gen_random_uuid() ELSE
            (lpad(to_hex((extract(epoch FROM made) * 1000)::bigint), 12, '0') || '7' || substr(digits, 1, 3)
             || '8' || substr(digits, 4, 15))::uuid END,
       job_type, CASE WHEN g %% 4 > 0 THEN split_part(job_type, '.', 2) || ' part ' || g END,
       (CASE WHEN state IN ('scheduled', 'in_progress', 'done') THEN state ELSE 'failed' END)::job_status,
       CASE WHEN state IN ('error', 'cancelled', 'timeout', 'lost') THEN state END,
       made, CASE WHEN state <> 'scheduled' THEN made + waited END,
       CASE WHEN state NOT IN ('scheduled', 'in_progress') THEN made + waited + took END,
       CASE WHEN state NOT IN ('scheduled', 'in_progress') THEN extract(epoch FROM took) END,
       CASE WHEN state = 'done' THEN 1 WHEN state = 'in_progress' THEN chance END,
       CASE WHEN state = 'in_progress' THEN 'batch ' || g %% 500 || ' of 500' END,
       md5('kernel ' || 1 + g %% %(kernels)s)::uuid, 'threads',
       CASE WHEN state = 'done' THEN jsonb_build_object('result', jsonb_build_object(
            'rows', g %% 100000, 'score', round(chance::numeric, 4), 'note', repeat('x', (g %% 120)::int)))
            ELSE '{}' END,
       CASE state WHEN 'error' THEN message WHEN 'cancelled' THEN 'cancelled by its owner'
                  WHEN 'timeout' THEN 'took longer than 30 s' WHEN 'lost' THEN 'lost: its process went away' END,
       CASE WHEN state = 'error' THEN 'Traceback (most recent call last):' || chr(10) || (
            SELECT string_agg('  File "/app/jobs/' || md5((g + k)::text) || '.py", line ' || g %% 900 + k
                              || ', in step_' || k || chr(10) || '    x = f(y)', chr(10))
            FROM generate_series(1, 12) k) || chr(10) || message END,
       jsonb_build_object('function', split_part(job_type, '.', 1), 'module', '__main__')
FROM (
    SELECT g, made, chance, digits, (%(types)s::text[])[1 + hash %% %(many_types)s] AS job_type,
           chance * interval '2 seconds' AS waited, (0.2 + 60 * chance * chance) * interval '1 second' AS took,
           replace((%(errors)s::text[])[1 + (hash / 7) %% %(many_errors)s], '%%s', (g %% 1000)::text) AS message,
           CASE WHEN left_over < %(rows)s * 0.003 THEN 'scheduled' WHEN left_over < %(rows)s * 0.005 THEN 'in_progress'
                WHEN hash %% 1000 < 30 THEN 'error' WHEN hash %% 1000 < 60 THEN 'cancelled'
                WHEN hash %% 1000 < 63 THEN 'timeout' WHEN hash %% 1000 < 65 THEN 'lost' ELSE 'done' END AS state
    FROM (SELECT g, %(rows)s - g AS left_over, timezone('utc', now()) - (%(rows)s - g) * interval '0.6 second' AS made,
                 random() AS chance, md5(random()::text) AS digits, hashint8(g) & 2147483647 AS hash
          FROM generate_series(%(first)s::bigint, %(last)s::bigint) g) numbers
) drawn
"""

ADD_LOGS = """
INSERT INTO job_logs (job_id, n, at, stream, line)
SELECT job_id, n, now(), CASE WHEN n %% 17 = 0 THEN 'stderr' ELSE 'stdout' END, 'epoch ' || n || ' loss ' || random()
FROM (SELECT job_id FROM jobs ORDER BY created_at DESC LIMIT 200) newest, generate_series(1, 400) n
"""


def fill(connection: psycopg.Connection, rows: int, batch: int = 100_000) -> None:
    """Add that many jobs, their kernels, and logs of the newest; the connection must be in autocommit mode."""
    values = {
        "rows": rows, "kernels": KERNELS, "types": list(TYPES), "many_types": len(TYPES), "errors": list(ERRORS),
        "many_errors": len(ERRORS),
    }  # fmt: skip
    connection.execute(ADD_KERNELS, values)
    for first in range(1, rows + 1, batch):
        connection.execute(ADD_JOBS, {**values, "first": first, "last": min(rows, first + batch - 1)})
    connection.execute(ADD_LOGS, values)
    connection.execute("VACUUM ANALYZE jobs")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--database-url")
    given = parser.parse_args()
    url = given.database_url or _new_server()
    began = time.perf_counter()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(schema_sql())
        fill(connection, given.rows)
        size = connection.execute("SELECT pg_size_pretty(pg_total_relation_size('jobs'))").fetchone()[0]
    print(f"{given.rows:,} rows in {time.perf_counter() - began:.1f} s, {size}: {url}")


def _new_server() -> str:
    server = EmbeddedServer(Path(tempfile.mkdtemp(prefix="jobnb-rows-")) / "home")
    server.ensure_running()
    server.leave_running()
    parts = server.conninfo()
    return f"postgresql://{parts['user']}@/{parts['dbname']}?host={quote(str(parts['host']), safe='/')}"


if __name__ == "__main__":
    main()
