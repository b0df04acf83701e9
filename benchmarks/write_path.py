"""What a tracked job costs, next to the same job untracked, and next to tracking it with three commits.

Every number is the median of interleaved rounds, so that a slow minute of the machine slows all of them. The server is
an embedded one in a temporary JOBNB_HOME, with its settings as they come (fsync and synchronous_commit are on).
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import psycopg

import jobnb
from jobnb.api import default_service
from jobnb.runtime import Runtime

COMMITTED_JOBS = 300
LONE_JOBS = 200
SETTLE_SECONDS = 600.0
TARGETS = {
    "submit / bare pool": (">=", 0.4),
    "submit / three commits": (">=", 25.0),
    "map / bare pool": (">=", 1.0),
    "lone job / one INSERT": ("<=", 2.5),
}

FILL = """
    INSERT INTO jobs (job_id, job_type, status, created_at, started_at, finished_at, result, name)
    SELECT gen_random_uuid(), 'filler', 'done', t, t, t, jsonb_build_object('result', n), 'filler'
    FROM generate_series(1, %s) AS n, LATERAL (SELECT timezone('utc', now()) - n * interval '1 second' AS t) AS times
"""
INSERT = "INSERT INTO jobs (job_id, job_type) VALUES (%s, 'lone')"
START = "UPDATE jobs SET status = 'in_progress', started_at = timezone('utc', now()) WHERE job_id = %s"
END = """
    UPDATE jobs SET status = 'done', finished_at = timezone('utc', now()), result = '{"result": null}' WHERE job_id = %s
"""


def no_op() -> None:
    """The job of all measurements."""


def no_op_of(number: int) -> None:
    del number


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=20_000, help="jobs in one measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", default="0,100000,1000000", help="rows the table has before, each size in turn")
    options = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="jobnb-benchmark-"))
    os.environ.pop("DATABASE_URL", None)
    jobnb.configure(home=home)  # type: ignore[arg-type]
    runtime = default_service().runtime
    runtime.open()
    assert runtime.database.embedded is not None
    data = runtime.database.embedded.status().data
    try:
        with psycopg.connect(**runtime.database.embedded.conninfo(), autocommit=True) as connection:
            describe_machine(connection, options.jobs, options.rounds)
            for rows in map(int, options.rows.split(",")):
                measure(runtime, connection, rows, options.jobs, options.rounds)
    finally:
        runtime.close()
        shutil.rmtree(data.parent, ignore_errors=True)
        shutil.rmtree(home, ignore_errors=True)


def describe_machine(connection: psycopg.Connection, jobs: int, rounds: int) -> None:
    server = connection.execute("SHOW server_version").fetchone()
    assert server is not None
    print(f"Python {platform.python_version()}, {os.cpu_count()} CPUs, PostgreSQL {server[0]}")
    print(f"{jobs:,} jobs a measurement, medians of {rounds} interleaved rounds")


def measure(runtime: Runtime, connection: psycopg.Connection, rows: int, jobs: int, rounds: int) -> None:
    """One size of the table: every way in turn, `rounds` times; then the table of numbers."""
    fill(connection, rows)
    workers = runtime.settings.max_workers
    ways: dict[str, Callable[[], float]] = {
        "bare pool": lambda: rate(jobs, lambda: bare_pool(jobs, workers)),
        "submit": lambda: rate(jobs, lambda: submit_each(runtime, jobs)),
        "map": lambda: rate(jobs, lambda: map_all(runtime, jobs)),
        "three commits": lambda: rate(COMMITTED_JOBS, lambda: three_commits(connection, COMMITTED_JOBS)),
    }
    lone: dict[str, list[float]] = {"lone job": [], "one INSERT": []}
    rates: dict[str, list[float]] = {name: [] for name in ways}
    submit_each(runtime, 100)
    for _ in range(rounds):
        for name, way in ways.items():
            rates[name].append(way())
        time.sleep(0.2)  # let the threads of the last measurement come to rest
        for _ in range(-(-LONE_JOBS // rounds)):
            lone["lone job"].append(seconds(lambda: lone_job(runtime)))
            lone["one INSERT"].append(seconds(lambda: one_insert(connection)))
    report(rows, rates, lone)


def fill(connection: psycopg.Connection, rows: int) -> None:
    """Empty the table, and give it `rows` finished jobs."""
    connection.execute("TRUNCATE jobs CASCADE")
    if rows:
        connection.execute(FILL, [rows])
    connection.execute("VACUUM ANALYZE jobs")
    connection.execute("CHECKPOINT")


def report(rows: int, rates: dict[str, list[float]], lone: dict[str, list[float]]) -> None:
    median = {name: statistics.median(values) for name, values in (rates | lone).items()}
    ratios = {
        "submit / bare pool": median["submit"] / median["bare pool"],
        "submit / three commits": median["submit"] / median["three commits"],
        "map / bare pool": median["map"] / median["bare pool"],
        "lone job / one INSERT": median["lone job"] / median["one INSERT"],
    }
    print(f"\ntable with {rows:,} rows before")
    for name, values in rates.items():
        print(f"  {name:24}{median[name]:12,.0f} jobs/s   ({min(values):,.0f} to {max(values):,.0f})")
    for name in lone:
        print(f"  {name:24}{median[name] * 1000:12.3f} ms")
    for name, ratio in ratios.items():
        relation, target = TARGETS[name]
        met = ratio >= target if relation == ">=" else ratio <= target
        print(f"  {name:24}{ratio:12.2f}          target {relation} {target:g}: {'met' if met else 'MISSED'}")


# -- the ways


def bare_pool(jobs: int, workers: int) -> None:
    with ThreadPoolExecutor(workers) as pool:
        for future in [pool.submit(no_op) for _ in range(jobs)]:
            future.result()


def submit_each(runtime: Runtime, jobs: int) -> None:
    """Until the database has the end of every one."""
    for handle in [jobnb.submit(no_op) for _ in range(jobs)]:
        handle.result()
    runtime.recorder.settle(SETTLE_SECONDS)


def map_all(runtime: Runtime, jobs: int) -> None:
    """Until the database has the end of every one."""
    jobnb.map(no_op_of, range(jobs)).wait()
    runtime.recorder.settle(SETTLE_SECONDS)


def three_commits(connection: psycopg.Connection, jobs: int) -> None:
    """Row, start and end of each job as a transaction of its own."""
    for _ in range(jobs):
        job_id = uuid4()
        connection.execute(INSERT, [job_id])
        connection.execute(START, [job_id])
        no_op()
        connection.execute(END, [job_id])


def lone_job(runtime: Runtime) -> None:
    jobnb.submit(no_op).result()
    runtime.recorder.settle(SETTLE_SECONDS)


def one_insert(connection: psycopg.Connection) -> None:
    connection.execute(INSERT, [uuid4()])


def seconds(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def rate(jobs: int, work: Callable[[], None]) -> float:
    return jobs / seconds(work)


if __name__ == "__main__":
    main()
