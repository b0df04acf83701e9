"""What the monitor's tests over a real server share: a source, and rows as jobs leave them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.types.json import Jsonb

from jobnb.db.embedded import EmbeddedServer
from jobnb.settings import Settings
from monitor.postgres import PostgresSource

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from monitor_rows import fill

MANY = 200_000

AddJobs = Callable[..., list[UUID]]


@pytest.fixture
def source(settings: Settings) -> Iterator[PostgresSource]:
    """The real source, over a fresh database."""
    opened = PostgresSource(settings)
    yield opened
    opened.close()


@pytest.fixture
def sql(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection beside the monitor's, as psql would have it."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def add_jobs(sql: psycopg.Connection[Any]) -> AddJobs:
    """Add `count` jobs with these columns, made now, one after the other; returns their ids, the oldest first."""

    def add(count: int = 1, **columns: Any) -> list[UUID]:
        values = {"job_type": "train", "status": "done", **columns}
        if values["status"] in ("done", "failed"):
            values.setdefault("duration_s", 1.0)
        values = {name: Jsonb(value) if isinstance(value, dict) else value for name, value in values.items()}
        names = ", ".join(values)
        places = ", ".join(f"%({name})s" for name in values)
        ended = ", finished_at" if values["status"] in ("done", "failed") and "finished_at" not in values else ""
        created = "" if "created_at" in values else ", created_at"
        moment = "timezone('utc', clock_timestamp()) + g * interval '1 microsecond'"
        found = sql.execute(
            f"INSERT INTO jobs ({names}{created}{ended})"
            f" SELECT {places}{', ' + moment if created else ''}{', ' + moment if ended else ''}"
            " FROM generate_series(1, %(count)s) g RETURNING job_id",
            {**values, "count": count},
        )
        return [row[0] for row in found]

    return add


@pytest.fixture
def add_kernel(sql: psycopg.Connection[Any]) -> Callable[..., UUID]:
    """Register a process; `silent` for how many seconds it gave no sign of life, `stopped` if it said goodbye."""

    def add(*, silent: float = 0.0, stopped: bool = False, notebook: str | None = None) -> UUID:
        found = sql.execute(
            'INSERT INTO jobnb_kernels (kernel_id, host, boot_id, pid, "user", notebook, python, heartbeat, stopped_at)'
            " VALUES (gen_random_uuid(), 'host-1', 'b', 4711, 'ada', %s, '3.12', now() - %s * interval '1 second',"
            " CASE WHEN %s THEN now() END) RETURNING kernel_id",
            (notebook, silent, stopped),
        ).fetchone()
        assert found is not None
        kernel_id: UUID = found[0]
        return kernel_id

    return add


@pytest.fixture(scope="session")
def many_rows_url(server: EmbeddedServer) -> Iterator[str]:
    """The URL of a database with 200,000 jobs, shared by the whole run: look, don't touch."""
    parts = server.conninfo()
    with psycopg.connect(**parts, autocommit=True) as connection:
        connection.execute("CREATE DATABASE many_rows TEMPLATE template_with_schema")
    url = f"postgresql://{parts['user']}@/many_rows?host={parts['host']}"
    with psycopg.connect(url, autocommit=True) as connection:
        fill(connection, MANY)
    yield url
    with psycopg.connect(**parts, autocommit=True) as connection:
        connection.execute("DROP DATABASE many_rows WITH (FORCE)")
