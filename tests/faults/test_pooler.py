"""Behind PgBouncer in transaction mode: the same rows, the same answers, whatever the pool's size.

That the core's own tests pass there too is for `pytest --behind-pooler`, which .ci/run calls.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import audit
import pooler
import psycopg
import pytest
from load import Load
from pooler import Pooler
from private_server import PrivateServer

import jobnb
from jobnb import caretaker
from jobnb.api import default_service
from jobnb.caretaker import Caretaker
from jobnb.runtime import Runtime
from jobnb.settings import Settings


@pytest.fixture
def behind(
    home: Path, private_server: PrivateServer, audited: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[int], Pooler]]:
    """Puts jobnb behind a pooler with a pool of the size given."""
    pooler.need(pooler.PROGRAM, "pgbouncer")
    started: list[Pooler] = []

    def start(pool_size: int) -> Pooler:
        started.append(Pooler(f"host=127.0.0.1 port={private_server.port}", PrivateServer.USER, pool_size))
        monkeypatch.setenv("DATABASE_URL", started[-1].url(audited))
        monkeypatch.delitem(sys.__dict__, "_jobnb_default_service", raising=False)
        jobnb.configure()
        default_service().runtime.open()
        return started[-1]

    yield start
    for runtime in list(sys.__dict__.get("_jobnb_runtimes", {}).values()):
        runtime.close(2.0)
    for one in started:
        one.stop()


def test_a_pool_of_one_connection_serves_twenty_clients_and_the_writer(
    behind: Callable[[int], Pooler], direct_url: str
) -> None:
    behind(1)
    load = Load(200).start()

    def ask(number: int) -> int:
        service = default_service()
        return sum(len(service.get_all_jobs()) >= 0 and service.count_jobs() >= 0 for _ in range(10))

    with ThreadPoolExecutor(20) as pool:
        assert list(pool.map(ask, range(20))) == [10] * 20
    load.finish()
    report = audit.report(direct_url)
    assert (report.is_clean, report.done) == (True, 200), report


def test_clients_that_share_connections_get_their_own_answers(behind: Callable[[int], Pooler]) -> None:
    url = behind(2).url("")
    services = [jobnb.SyncJobService() for _ in range(4)]
    jobs = [service.create_job(jobnb.JobCreate(job_type=f"type {n}")) for n, service in enumerate(services)]

    def ask(number: int) -> bool:
        service, job = services[number % 4], jobs[number % 4]
        if number % 3 == 0:
            return service.complete_job(job.job_id, {"n": number}).job_id == job.job_id
        return service.get_job(job.job_id).job_type == job.job_type and service.count_jobs() == 4

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(800)))
    with psycopg.connect(url + "postgres") as connection:
        left = connection.execute("SELECT count(*) FROM pg_prepared_statements").fetchone()
    assert left == (0,)
    for service in services:
        service.close()


@pytest.mark.parametrize("how", ["immediate", "fast"])
def test_a_restart_of_the_server_behind_a_pooler_loses_nothing(
    how: str, behind: Callable[[int], Pooler], private_server: PrivateServer, direct_url: str
) -> None:
    behind(3)
    load = Load(200).start()
    load.wait_for(50)
    private_server.restart(how)
    load.finish()
    report = audit.report(direct_url)
    assert (report.is_clean, report.rows, report.done) == (True, 200, 200), report


def test_a_restart_of_the_pooler_itself_loses_nothing(
    behind: Callable[[int], Pooler], direct_url: str, private_server: PrivateServer, audited: str
) -> None:
    first = behind(3)
    load = Load(200).start()
    load.wait_for(50)
    first.restart()
    load.finish()
    report = audit.report(direct_url)
    assert (report.is_clean, report.rows, report.done) == (True, 200, 200), report


def test_the_tables_are_made_through_a_pooler_by_many_at_once(
    behind: Callable[[int], Pooler], private_server: PrivateServer
) -> None:
    one = behind(3)
    private_server.ask("CREATE DATABASE made_through_pooler")
    services = [jobnb.SyncJobService(one.url("made_through_pooler"), max_workers=n) for n in range(1, 5)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda service: service.count_jobs(), services)) == [0] * 4
    for service in services:
        service.close()
    private_server.ask("DROP DATABASE made_through_pooler WITH (FORCE)")


def test_a_server_that_sleeps_when_nobody_uses_it_is_let_to_sleep(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pause(url: str | None) -> float:
        care = Caretaker(Runtime(Settings.load(database_url=url)))
        early = care._pause
        care._active_at -= caretaker.AWAKE + 1
        assert early < 120
        return care._pause

    assert pause("postgresql://u:p@ep-cool-pooler.eu-central-1.aws.neon.tech/db") == float("inf")
    assert pause("postgresql://u:p@db.example.org/db") == 60
