"""Least-privilege roles and row security, with real connections of real roles."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from children import CHECKOUT
from private_server import PrivateServer
from waiting import until

import jobnb
from jobnb.db import queries, schema

PEOPLE = {"alice": "jobnb_runner", "bob": "jobnb_runner", "viewer": "jobnb_monitor"}


@pytest.fixture
def shared(private_server: PrivateServer, audited: str, home: Path) -> Iterator[str]:
    """A database with the roles, given to three people; the audit may write there too."""
    for _ in range(2):  # a second time changes nothing
        private_server.ask(schema.schema_sql("roles.sql"), audited)
    for person, role in PEOPLE.items():
        private_server.ask(f"CREATE ROLE {person} LOGIN IN ROLE {role}", audited)
    private_server.ask("GRANT INSERT ON jobs_audit TO PUBLIC", audited)
    private_server.ask("GRANT USAGE ON SEQUENCE jobs_audit_n_seq TO PUBLIC", audited)
    yield audited
    for service in list(sys.__dict__.get("_jobnb_runtimes", {}).values()):
        service.close(1.0)
    with psycopg.connect(private_server.url(audited), autocommit=True) as connection:
        connection.execute("DROP OWNED BY alice, bob, viewer, jobnb_runner, jobnb_monitor")
        connection.execute("DROP ROLE alice, bob, viewer, jobnb_runner, jobnb_monitor")


@pytest.fixture
def secured(shared: str, private_server: PrivateServer) -> str:
    """The same, with row security."""
    for _ in range(2):
        private_server.ask(schema.schema_sql("row_security.sql"), shared)
    return shared


def refused(url: str, statement: str) -> bool:
    with psycopg.connect(url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement)  # type: ignore[call-overload]
    return True


def test_the_command_line_makes_roles_and_row_security(private_server: PrivateServer, shared: str) -> None:
    command = [sys.executable, "-m", "jobnb", "--database-url", private_server.url(shared), "init-db", "--row-security"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=CHECKOUT, check=True)
    assert "jobnb_runner and jobnb_monitor are there" in done.stdout
    assert private_server.ask("SELECT count(*) FROM pg_policies WHERE tablename = 'jobs'", shared) == 3


def test_a_runner_can_do_all_that_jobs_need(shared: str, private_server: PrivateServer) -> None:
    with jobnb.SyncJobService(private_server.url(shared, user="alice")) as service:

        def work(number: int) -> int:
            print("working on", number)
            for _ in jobnb.track(range(3)):
                pass
            return number

        group = service.map(work, range(20))
        assert group.results(20) == list(range(20))
        failed = service.submit(int, "x", document_id="00000000-0000-7000-8000-000000000001")
        assert isinstance(failed.exception(20), ValueError)
        assert "working on 7" in str(group[7].logs())
        assert failed.retry().exception(20) is not None
        created = service.create_job(jobnb.JobCreate(job_type="report"))
        assert service.run_job_async(created.job_id, sum, [1, 2]).result(20) == 3
        assert service.complete_job(created.job_id, {"sum": 3}).result == {"sum": 3}
        stopped = service.create_job(jobnb.JobCreate(job_type="report"))
        assert service.cancel_job(stopped.job_id) is True
        assert service.get_job(stopped.job_id).state == "cancelled"
        assert service.count_jobs() == 24
    assert private_server.ask("SELECT count(*) FROM jobnb_kernels WHERE stopped_at IS NOT NULL", shared) == 1


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM jobs", "TRUNCATE jobs", "DROP TABLE jobs", "ALTER TABLE jobs ADD COLUMN x int",
        "DELETE FROM job_logs", "UPDATE job_logs SET line = ''", "UPDATE jobnb_schema SET version = 9",
        "DROP TRIGGER jobs_final ON jobs", "CREATE TABLE mine (x int)", "DELETE FROM documents",
    ],
)  # fmt: skip
def test_a_runner_can_not(statement: str, shared: str, private_server: PrivateServer) -> None:
    assert refused(private_server.url(shared, user="alice"), statement)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO jobs (job_type) VALUES ('x')", "UPDATE jobs SET status = 'done'", "UPDATE jobs SET result = '{}'",
        "DELETE FROM jobs", "INSERT INTO job_logs VALUES (gen_random_uuid(), 1, now(), 'stdout', '')",
        "UPDATE jobnb_kernels SET stopped_at = now()", "SELECT * FROM documents",
    ],
)  # fmt: skip
def test_a_monitor_can_not(statement: str, shared: str, private_server: PrivateServer) -> None:
    assert refused(private_server.url(shared, user="viewer"), statement)


def test_a_monitor_reads_and_cancels_and_is_told_what_it_may_not(shared: str, private_server: PrivateServer) -> None:
    with (
        jobnb.SyncJobService(private_server.url(shared, user="alice")) as alice,
        jobnb.SyncJobService(private_server.url(shared, user="viewer")) as viewer,
    ):

        def until_told() -> None:
            print("running")
            while True:
                jobnb.check_cancelled()
                time.sleep(0.01)

        job, untaken = alice.submit(until_told), alice.create_job(jobnb.JobCreate(job_type="x"))
        until(lambda: job.running() and job.refresh().status == "in_progress")
        assert viewer.get_job(job.job_id).status == "in_progress"
        until(lambda: [line.line for line in viewer.get_logs(job.job_id)] == ["running"])
        assert viewer.count_jobs() == 2
        assert viewer.cancel_job(job.job_id) is True
        assert job.wait(5)
        assert job.cancelled()
        assert viewer.cancel_job(untaken.job_id) is True
        assert viewer.get_job(untaken.job_id).error_message == "cancelled before it started"
        for attempt in (
            lambda: viewer.submit(int),
            lambda: viewer.create_job(jobnb.JobCreate(job_type="x")),
            lambda: viewer.complete_job(job.job_id, {}),
            lambda: viewer.delete_jobs([job.job_id]),
        ):
            with pytest.raises(jobnb.PermissionDenied, match="GRANT"):
                attempt()


def test_a_monitor_leaves_the_dead_to_those_who_may_close_them(
    shared: str, private_server: PrivateServer, home: Path
) -> None:
    script = "import threading, jobnb\njob = jobnb.submit(threading.Event().wait)\nwhile not job.running(): pass\njob.refresh()\nprint('ready', flush=True)\ninput()\n"
    environment = {"DATABASE_URL": private_server.url(shared, user="alice"), "JOBNB_HOME": str(home), "PATH": ""}
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        env=environment, cwd=CHECKOUT, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.kill()
    process.communicate()
    # the same road to the database for both: the name of a spool's folder has the user in it
    with jobnb.SyncJobService(private_server.url(shared, user="viewer")) as viewer:
        assert [job.status for job in viewer.get_all_jobs()] == ["in_progress"]
    with jobnb.SyncJobService(private_server.url(shared, user="alice")) as alice:
        assert [job.state for job in alice.get_all_jobs()] == ["lost"]


def test_a_role_that_does_not_own_the_tables_is_told_who_has_to_upgrade_them(
    shared: str, private_server: PrivateServer
) -> None:
    private_server.ask("UPDATE jobnb_schema SET version = 0", shared)
    with (
        jobnb.SyncJobService(private_server.url(shared, user="alice")) as alice,
        pytest.raises(jobnb.PermissionDenied, match="jobnb init-db"),
    ):
        alice.count_jobs()


# -- row security


def test_runners_see_and_change_their_own_jobs_only(secured: str, private_server: PrivateServer) -> None:
    with (
        jobnb.SyncJobService(private_server.url(secured, user="alice")) as alice,
        jobnb.SyncJobService(private_server.url(secured, user="bob")) as bob,
        jobnb.SyncJobService(private_server.url(secured, user="viewer")) as viewer,
    ):

        def speak() -> str:
            print("for alice only")
            return "secret"

        job = alice.submit(speak)
        assert job.result(20) == "secret"
        assert alice.get_job(job.job_id).result == {"result": "secret"}
        assert bob.submit(int, 5).result(20) == 5
        assert bob.get_job(job.job_id) is None
        assert list(bob.get_logs(job.job_id)) == []
        assert [one.name for one in bob.get_all_jobs()] == ["int"]
        for attempt in (
            lambda: bob.cancel_job(job.job_id),
            lambda: bob.fail_job(job.job_id, "forged"),
            lambda: bob.retry_job(job.job_id),
            lambda: bob.run_job_async(job.job_id, int),
        ):
            with pytest.raises(jobnb.JobNotFound):
                attempt()
        assert viewer.count_jobs() == 2
        assert [line.line for line in viewer.get_logs(job.job_id)] == ["for alice only"]
        assert bob.run(queries.list_kernels)[0]["unfinished"] == 0
        assert len(bob.run(queries.list_kernels)) == 1
        assert len(viewer.run(queries.list_kernels)) == 2


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO jobs (job_type, owner_role) VALUES ('forged', 'alice')",
        "UPDATE jobs SET owner_role = 'alice'",
        "UPDATE jobnb_kernels SET owner_role = 'alice'",
        "ALTER TABLE jobs DISABLE ROW LEVEL SECURITY",
        "SET ROLE alice",
    ],
)
def test_a_runner_can_not_become_another_one(statement: str, secured: str, private_server: PrivateServer) -> None:
    assert refused(private_server.url(secured, user="bob"), statement)


def test_writing_over_somebody_elses_id_changes_nothing(secured: str, private_server: PrivateServer) -> None:
    with jobnb.SyncJobService(private_server.url(secured, user="alice")) as alice:
        job = alice.submit(int, 1)
        job.result(20)
        job.refresh()
    with psycopg.connect(private_server.url(secured, user="bob"), autocommit=True) as connection:
        assert connection.execute("UPDATE jobs SET error_message = 'forged'").rowcount == 0
        assert connection.execute("SELECT count(*) FROM jobs").fetchone() == (0,)
        for action in ("DO NOTHING", "DO UPDATE SET error_message = 'forged'"):
            statement = f"INSERT INTO jobs (job_id, job_type) VALUES (%s, 'x') ON CONFLICT (job_id) {action}"
            try:
                assert connection.execute(statement, [job.job_id]).rowcount == 0  # type: ignore[call-overload]
            except psycopg.errors.InsufficientPrivilege:
                assert action != "DO NOTHING"
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("INSERT INTO job_logs VALUES (%s, 9, now(), 'stdout', 'forged')", [job.job_id])
    assert private_server.ask("SELECT error_message FROM jobs", secured) is None
