"""Tables of another age: a million rows of the framework's own, those of an older jobnb, those of a newer one."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from children import CHECKOUT
from private_server import PrivateServer
from test_spec import HOST_TABLES, SPEC_COLUMNS, SPEC_DDL
from waiting import in_time, until

import jobnb
from jobnb.db import schema, tables

FILL = """
SET session_replication_role = replica; -- the references are right, and a million checks of them take long
INSERT INTO documents SELECT md5('d' || n)::uuid, 'd' FROM generate_series(0, 99) AS n;
INSERT INTO jobs (job_type, status, created_at, started_at, finished_at, result, error_message, document_id)
SELECT 'type ' || n % 7, (ARRAY['done', 'done', 'done', 'failed', NULL])[1 + n % 5]::job_status, t, t, t,
       jsonb_build_object('result', n), CASE WHEN n % 5 = 3 THEN 'went wrong' END, md5('d' || n % 100)::uuid
FROM generate_series(1, {rows}) AS n, LATERAL (SELECT timestamp '2026-01-01' + n * interval '1 second' AS t) AS times;
"""
# one number for all that the framework's columns hold; cheap enough for a million rows
CHECKSUM = f"SELECT sum(hashtextextended(ROW({', '.join(SPEC_COLUMNS)})::text, 0)::numeric) FROM jobs"
FILE = "SELECT pg_relation_filenode('jobs')"


@pytest.fixture
def framework(private_server: PrivateServer, home: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """A database with the framework's own table, and rows."""
    private_server.ask("CREATE DATABASE framework")
    with psycopg.connect(private_server.url("framework")) as connection:
        connection.execute(HOST_TABLES + SPEC_DDL)  # type: ignore[call-overload]
        connection.execute(FILL.format(rows=request.param))  # type: ignore[call-overload]
    yield "framework"
    if private_server.pid is None:
        private_server.start()
    private_server.ask("DROP DATABASE framework WITH (FORCE)")


@pytest.mark.parametrize("framework", [1_000_000], indirect=True)
def test_a_million_rows_of_the_framework_are_upgraded_in_seconds_where_they_are(
    framework: str, private_server: PrivateServer
) -> None:
    before = private_server.ask(CHECKSUM, framework), private_server.ask(FILE, framework)
    began = time.monotonic()
    with jobnb.SyncJobService(private_server.url(framework)) as service:
        service.init_database()
        in_time(began, 50)  # nearly all of it indexes
        assert (private_server.ask(CHECKSUM, framework), private_server.ask(FILE, framework)) == before
        assert service.submit(int, 5).result(20) == 5
        assert service.count_jobs() == 1_000_001
        began = time.monotonic()
        service.init_database()
        in_time(began, 1)
    # programs that know only the framework's columns go on working
    insert = f"INSERT INTO jobs ({', '.join(SPEC_COLUMNS[2:4])}) VALUES ('old program', 'in_progress') RETURNING job_id"
    job_id = private_server.ask(insert, framework)
    private_server.ask(f"UPDATE jobs SET status = 'done', finished_at = now() WHERE job_id = '{job_id}'", framework)


@pytest.mark.parametrize("framework", [100_000], indirect=True)
def test_an_upgrade_that_is_interrupted_leaves_the_table_as_it_was(
    framework: str, private_server: PrivateServer
) -> None:
    before = private_server.ask(CHECKSUM, framework)
    failed: list[BaseException] = []

    def upgrade() -> None:
        try:
            with jobnb.SyncJobService(private_server.url(framework)) as service:
                service.init_database()
        except jobnb.DatabaseUnavailable as error:
            failed.append(error)

    thread = threading.Thread(target=upgrade)
    thread.start()
    locked = "SELECT count(*) FROM pg_locks WHERE relation = 'jobs'::regclass AND mode = 'AccessExclusiveLock'"
    until(lambda: private_server.ask(locked, framework))
    private_server.restart("immediate")
    thread.join(60)
    assert len(failed) == 1
    with psycopg.connect(private_server.url(framework)) as connection:
        found = connection.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_name = 'jobs' ORDER BY ordinal_position"
        ).fetchall()
    assert [name for (name,) in found] == SPEC_COLUMNS
    assert private_server.ask(CHECKSUM, framework) == before
    upgrade()
    assert private_server.ask("SELECT version FROM jobnb_schema", framework) == schema.VERSION
    assert private_server.ask(CHECKSUM, framework) == before


OLDER = """
DROP TRIGGER jobs_cancel_untaken ON jobs;
DROP FUNCTION jobs_cancel_untaken();
ALTER TABLE jobs DROP COLUMN cancel_force;
UPDATE jobnb_schema SET version = 1;
"""


def test_tables_of_an_older_jobnb_are_upgraded_with_their_rows(
    private_server: PrivateServer, audited: str, home: Path
) -> None:
    with jobnb.SyncJobService(private_server.url(audited)) as service:
        job = service.submit(int, 5)
        job.result(20)
        job.refresh()
    private_server.ask(OLDER, audited)
    with jobnb.SyncJobService(private_server.url(audited)) as service:
        assert service.get_job(job.job_id).result == {"result": 5}
        assert service.submit(int, 6).result(20) == 6
        untaken = service.create_job(jobnb.JobCreate(job_type="x"))
        assert service.cancel_job(untaken.job_id) is True
        assert service.get_job(untaken.job_id).state == "cancelled"
    found = private_server.ask(
        "SELECT array_agg(column_name::text ORDER BY ordinal_position) FROM information_schema.columns "
        "WHERE table_name = 'jobs'",
        audited,
    )
    assert found == [column.name for column in tables.jobs.columns]
    assert private_server.ask("SELECT version FROM jobnb_schema", audited) == schema.VERSION


def test_tables_of_a_newer_jobnb_are_refused_with_words_and_nothing_is_written(
    private_server: PrivateServer, audited: str, home: Path
) -> None:
    private_server.ask(f"UPDATE jobnb_schema SET version = {schema.VERSION + 1}", audited)
    url = private_server.url(audited)
    with jobnb.SyncJobService(url) as service:
        for attempt in (lambda: service.submit(int), service.count_jobs, service.init_database):
            with pytest.raises(jobnb.SchemaMismatch, match="update jobnb here") as refused:
                attempt()
            assert f"schema {schema.VERSION + 1}" in str(refused.value)
    done = subprocess.run(
        [sys.executable, "-m", "jobnb", "--database-url", url, "list"],
        capture_output=True, text=True, cwd=CHECKOUT, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "update jobnb" in done.stderr
    assert "Traceback" not in done.stderr
    counts = [private_server.ask(f"SELECT count(*) FROM {table}", audited) for table in ("jobs", "jobnb_kernels")]
    assert counts == [0, 0]
