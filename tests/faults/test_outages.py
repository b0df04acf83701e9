"""Whatever happens to the server or to the way there: every accepted job has its true row, and no job waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import audit
import psycopg
import pytest
from chaos_proxy import ChaosProxy, Mode
from load import Load
from private_server import PrivateServer
from waiting import in_time, not_slow, until

import jobnb
from jobnb.api import default_service
from jobnb.db import connecting, statement

LASTS = 2.0
"""Seconds of an outage that has a length."""
LONGEST_WAIT = 0.05
"""Seconds that a job may wait for jobnb."""

Fault = Callable[[PrivateServer, ChaosProxy, str], "contextlib.AbstractContextManager[None]"]


@contextlib.contextmanager
def restart_immediate(server: PrivateServer, proxy: ChaosProxy, database: str) -> Iterator[None]:
    server.restart("immediate")
    yield


@contextlib.contextmanager
def restart_fast(server: PrivateServer, proxy: ChaosProxy, database: str) -> Iterator[None]:
    server.restart("fast")
    yield


@contextlib.contextmanager
def backends_terminated(server: PrivateServer, proxy: ChaosProxy, database: str) -> Iterator[None]:
    for _ in range(8):
        server.terminate_backends()
        time.sleep(0.05)
    yield


@contextlib.contextmanager
def down(server: PrivateServer, proxy: ChaosProxy, database: str) -> Iterator[None]:
    server.stop("immediate")
    time.sleep(LASTS)
    server.start()
    yield


@contextlib.contextmanager
def frozen(server: PrivateServer, proxy: ChaosProxy, database: str) -> Iterator[None]:
    server.freeze()
    time.sleep(LASTS)
    server.thaw()
    yield


@contextlib.contextmanager
def postmaster_frozen(server: PrivateServer, proxy: ChaosProxy, database: str) -> Iterator[None]:
    server.freeze_postmaster()
    proxy.cut()
    time.sleep(LASTS)
    server.thaw()
    yield


@contextlib.contextmanager
def black_hole(server: PrivateServer, proxy: ChaosProxy, database: str) -> Iterator[None]:
    proxy.mode = Mode.BLACK_HOLE
    time.sleep(LASTS)
    proxy.mode = Mode.PASS
    yield


@contextlib.contextmanager
def black_hole_then_reset(server: PrivateServer, proxy: ChaosProxy, database: str) -> Iterator[None]:
    proxy.mode = Mode.BLACK_HOLE
    time.sleep(LASTS)
    proxy.cut()
    proxy.mode = Mode.PASS
    yield


@contextlib.contextmanager
def refused(server: PrivateServer, proxy: ChaosProxy, database: str) -> Iterator[None]:
    proxy.mode = Mode.REFUSE
    proxy.cut()
    time.sleep(LASTS)
    proxy.mode = Mode.PASS
    yield


@contextlib.contextmanager
def reset(server: PrivateServer, proxy: ChaosProxy, database: str) -> Iterator[None]:
    proxy.mode = Mode.RESET
    proxy.cut()
    time.sleep(LASTS)
    proxy.mode = Mode.PASS
    yield


@contextlib.contextmanager
def cut_again_and_again(server: PrivateServer, proxy: ChaosProxy, database: str) -> Iterator[None]:
    for _ in range(40):
        proxy.cut()
        time.sleep(LASTS / 40)
    yield


@contextlib.contextmanager
def slow_and_lossy(server: PrivateServer, proxy: ChaosProxy, database: str) -> Iterator[None]:
    proxy.latency, proxy.stalls = 0.1, 0.1
    time.sleep(LASTS)
    proxy.latency = proxy.stalls = 0.0
    yield


@contextlib.contextmanager
def no_connection_left(server: PrivateServer, proxy: ChaosProxy, database: str) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(psycopg.OperationalError):
            while True:
                stack.enter_context(psycopg.connect(server.url()))
        proxy.cut()
        # the places of the cut connections are taken too
        ends = time.monotonic() + LASTS
        while time.monotonic() < ends:
            with contextlib.suppress(psycopg.OperationalError):
                stack.enter_context(psycopg.connect(server.url()))
            time.sleep(0.02)
    yield


@contextlib.contextmanager
def read_only(server: PrivateServer, proxy: ChaosProxy, database: str) -> Iterator[None]:
    server.ask(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    server.terminate_backends()
    time.sleep(LASTS)
    # as after a failover: the connections made meanwhile stay on the server that only reads
    server.ask(f"ALTER DATABASE {database} RESET default_transaction_read_only")
    yield


FAULTS: list[Fault] = [
    restart_immediate, restart_fast, backends_terminated, down, frozen, postmaster_frozen, black_hole,
    black_hole_then_reset, refused, reset, cut_again_and_again, slow_and_lossy, no_connection_left, read_only,
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_no_row_is_lost_or_wrong_and_no_job_waits(
    fault: Fault, through_proxy: str, private_server: PrivateServer, proxy: ChaosProxy, audited: str,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    load = Load(300).start()
    load.wait_for(60)
    with caplog.at_level(logging.WARNING, "jobnb"), fault(private_server, proxy, audited):
        load.finish()
    report = audit.report(through_proxy)
    assert report.is_clean, report
    assert (report.rows, report.done) == (300, 300), report
    with psycopg.connect(through_proxy) as connection:
        values = connection.execute("SELECT name, (result->>'result')::int FROM jobs").fetchall()
    assert dict(values) == {f"job {number}": load.value(number) for number in range(300)}
    for waits in (load.submits, load.ends):
        # a busy machine makes some threads wait for their turn; who waited for the database waited far longer
        not_slow(sorted(waits)[280], LONGEST_WAIT)
        not_slow(max(waits), LASTS / 2)
    assert len(caplog.records) <= 2, caplog.text


# -- what explicit calls and readers meet


def test_a_server_that_froze_is_left_after_the_deadline_and_not_waited_for_by_tcp(
    through_proxy: str, private_server: PrivateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statement, "DEFAULT_DEADLINE", 1.0)
    load = Load(100).start()
    load.wait_for(20)
    private_server.freeze()
    began = time.monotonic()
    with pytest.raises(jobnb.DatabaseUnavailable):
        jobnb.jobs()
    in_time(began, 10.5)  # whatever it was doing when the server froze
    private_server.thaw()
    load.finish()
    assert audit.report(through_proxy).is_clean


@pytest.mark.parametrize("mode", [Mode.REFUSE, Mode.RESET, Mode.BLACK_HOLE])
def test_an_explicit_call_during_an_outage_says_so_within_its_deadline(
    mode: Mode, through_proxy: str, proxy: ChaosProxy
) -> None:
    with jobnb.SyncJobService() as service:
        job = service.create_job(jobnb.JobCreate(job_type="report"))
        proxy.mode = mode
        if mode is not Mode.BLACK_HOLE:
            proxy.cut()
        calls = [
            lambda: service.get_job(job.job_id),
            lambda: service.create_job(jobnb.JobCreate(job_type="report")),
            lambda: service.complete_job(job.job_id, {"rows": 1}),
            lambda: service.cancel_job(job.job_id),
            service.init_database,
        ]
        with ThreadPoolExecutor(len(calls)) as pool:
            began = time.monotonic()
            for answer in [pool.submit(call) for call in calls]:
                with pytest.raises(jobnb.DatabaseUnavailable, match=r"127\.0\.0\.1"):
                    answer.result()
            in_time(began, 10.5)
        proxy.mode = Mode.PASS
        assert service.complete_job(job.job_id, {"rows": 1}).status == "done"


async def test_an_explicit_call_during_an_outage_does_not_block_the_event_loop(
    through_proxy: str, proxy: ChaosProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statement, "DEFAULT_DEADLINE", 1.0)
    monkeypatch.setattr(connecting, "CONNECT_SECONDS", 1.0)
    async with jobnb.JobService() as service:
        await service.count_jobs()
        proxy.mode = Mode.BLACK_HOLE
        calls = [asyncio.ensure_future(service.get_all_jobs()) for _ in range(3)]
        longest = 0.0
        while not all(call.done() for call in calls):
            began = time.perf_counter()
            await asyncio.sleep(0.01)
            longest = max(longest, time.perf_counter() - began)
        assert {type(call.exception()) for call in calls} == {jobnb.DatabaseUnavailable}
        not_slow(longest, 0.5)
        proxy.mode = Mode.PASS
        proxy.cut()
        assert await service.get_all_jobs() == []


def test_a_read_on_a_connection_that_broke_is_read_again(through_proxy: str, proxy: ChaosProxy) -> None:
    service = default_service()
    service.runtime._caretaker.stop()  # or it might be its query whose answer is lost
    assert service.count_jobs() == 0
    lost = proxy.lose_answer(b"FROM jobs")  # its connection worked a moment before: the check of it found nothing
    assert service.get_all_jobs() == []
    assert lost.is_set()


@pytest.mark.parametrize(("marker", "stored"), [(b"INSERT INTO jobs", 0), (b"COMMIT\x00", 1)])
def test_a_change_whose_answer_was_lost_is_the_callers_to_look_at_and_not_made_twice(
    marker: bytes, stored: int, through_proxy: str, proxy: ChaosProxy
) -> None:
    service = default_service()
    lost = proxy.lose_answer(marker)
    with pytest.raises(jobnb.DatabaseUnavailable):
        service.create_job(jobnb.JobCreate(job_type="report"))
    assert lost.is_set()
    assert service.count_jobs() == stored


def test_records_whose_answer_was_lost_are_stored_once(through_proxy: str, proxy: ChaosProxy) -> None:
    jobs = []
    for marker in (b"INSERT INTO jobs", b"UPDATE jobs", b"INSERT INTO jobs"):
        lost = proxy.lose_answer(marker)
        while not lost.is_set():
            jobs.append(jobnb.submit(time.sleep, 0.05))
            time.sleep(0.01)
    assert all(job.wait(20) for job in jobs)
    default_service().runtime.recorder.settle(60)
    report = audit.report(through_proxy)
    assert report.is_clean, report
    assert report.done == len(jobs)


def test_waiting_for_a_job_of_another_process_survives_an_outage(
    through_proxy: str, proxy: ChaosProxy, private_server: PrivateServer, caplog: pytest.LogCaptureFixture
) -> None:
    with psycopg.connect(through_proxy) as connection:
        row = connection.execute("INSERT INTO jobs (job_type, status) VALUES ('x', 'in_progress') RETURNING job_id")
        (job_id,) = row.fetchone() or ()
    handle = jobnb.get(job_id)
    waited: list[bool] = []
    thread = threading.Thread(target=lambda: waited.append(handle.wait(30)))
    thread.start()
    with caplog.at_level(logging.WARNING, "jobnb"):
        private_server.stop("immediate")
        until(lambda: "goes on" in caplog.text)
        private_server.start()
        with psycopg.connect(through_proxy) as connection:
            connection.execute("UPDATE jobs SET status = 'done'")
        thread.join(30)
    assert waited == [True]
    assert len(caplog.records) == 1


def test_the_user_is_told_once_and_calmly_of_an_outage_and_of_its_end(
    through_proxy: str, proxy: ChaosProxy, caplog: pytest.LogCaptureFixture
) -> None:
    load = Load(50).start()
    with caplog.at_level(logging.WARNING, "jobnb"):
        proxy.mode = Mode.REFUSE
        proxy.cut()
        until(lambda: caplog.records)
        time.sleep(1.5)  # further attempts fail meanwhile, and nobody hears of them
        proxy.mode = Mode.PASS
        load.finish()
    first, last = [record.getMessage() for record in caplog.records]
    assert "Your jobs go on" in first
    assert "127.0.0.1" in first
    assert "Traceback" not in first
    assert "back" in last


def test_the_first_use_fails_at_once_and_with_words_and_tries_no_more_than_twice(
    home: Path, proxy: ChaosProxy, private_server: PrivateServer, audited: str
) -> None:
    proxy.mode = Mode.RESET
    jobnb.configure(database_url=private_server.url(audited, port=proxy.port))
    began = time.monotonic()
    with pytest.raises(jobnb.DatabaseUnavailable, match=r"no answer from 127\.0\.0\.1"):
        jobnb.submit(int)
    in_time(began, 1.0)
    assert proxy.accepted <= 2
