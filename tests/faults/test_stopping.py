"""Cancelling, by asking and by force, timeouts and retries: what stops, what can't be stopped, and what is said."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import audit
import psycopg
import pytest
from chaos_proxy import ChaosProxy, Mode
from children import CHECKOUT
from waiting import in_time, until

import jobnb
from jobnb.api import default_service
from jobnb.db import queries
from jobnb.errors import StopRequested
from jobnb.executors import runner

begun = threading.Event()


@pytest.fixture(autouse=True)
def _not_begun() -> None:
    begun.clear()


def listening() -> None:
    while True:
        begun.set()
        jobnb.check_cancelled()
        time.sleep(0.005)


def deaf() -> None:
    begun.set()
    while True:
        pass


async def waiting() -> None:
    begun.set()
    await asyncio.sleep(60)


def by_handle(job: jobnb.JobHandle[object], force: bool) -> None:
    assert job.cancel(force=force) is True


def by_another_process(job: jobnb.JobHandle[object], force: bool) -> None:
    code = f"import jobnb; print(jobnb.get('{job.job_id}').cancel(force={force}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=CHECKOUT, check=True)
    assert done.stdout == "True\n"


def by_command_line(job: jobnb.JobHandle[object], force: bool) -> None:
    command = [sys.executable, "-m", "jobnb", "cancel", str(job.job_id), *(["--force"] if force else [])]
    done = subprocess.run(command, capture_output=True, text=True, cwd=CHECKOUT, check=True)
    assert job.job.short_id in done.stdout


def by_query(job: jobnb.JobHandle[object], force: bool) -> None:
    """As the monitor does it."""
    assert default_service().runtime.database.run(queries.cancel_job, job.job_id, force) is True


Way = Callable[[jobnb.JobHandle[object], bool], None]
WAYS: list[Way] = [by_handle, by_another_process, by_command_line, by_query]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize(("work", "force"), [(listening, False), (waiting, False), (deaf, True)])
def test_a_running_job_is_stopped(
    work: Callable[[], object], force: bool, way: Way, connected: str, home: object
) -> None:
    job = jobnb.submit(work)
    assert begun.wait(10)
    default_service().runtime.recorder.settle(60)
    way(job, force)
    asked = time.monotonic()
    assert job.wait(10)
    in_time(asked, 1.5)
    row = job.refresh()
    assert (row.status, row.error_kind) == ("failed", "cancelled")
    assert row.cancel_requested_at is not None or way is by_handle  # it may have ended before that could be written
    assert ("by force" in (row.error_message or "")) is force
    with pytest.raises(jobnb.JobCancelled):
        job.result()
    assert job.cancel() is False
    assert audit.report(connected).is_clean


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_queued_job_never_starts(way: Way, connected: str) -> None:
    jobnb.configure(max_workers=1)
    ran: list[int] = []
    release = threading.Event()
    first, second = jobnb.submit(release.wait), jobnb.submit(ran.append, 1)
    default_service().runtime.recorder.settle(60)
    way(second, False)
    assert second.wait(5)
    release.set()
    first.result()
    assert jobnb.submit(int, 5).result() == 5
    assert ran == []
    assert second.refresh().error_message == "cancelled before it started"


def test_code_that_does_not_listen_runs_on_and_its_row_says_so(connected: str) -> None:
    release = threading.Event()
    job = jobnb.submit(release.wait)
    until(job.running)
    assert job.cancel() is True
    until(lambda: job.refresh().cancel_requested_at is not None)
    assert job.refresh().status == "in_progress"
    assert job.wait(0.3) is False
    release.set()
    assert job.result() is True  # it came to its end all the same, and that is what counts
    assert job.refresh().status == "done"
    assert job.cancelled() is False


def test_a_coroutine_that_goes_on_after_its_cancellation_is_not_called_cancelled_before_it_ends(
    connected: str,
) -> None:
    release = threading.Event()

    async def stubborn() -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            begun.set()
            await asyncio.to_thread(release.wait)
        return "finished anyway"

    job = jobnb.submit(stubborn)
    until(job.running)
    assert job.cancel() is True
    assert begun.wait(5)
    assert job.refresh().status == "in_progress"
    release.set()
    assert job.result(5) == "finished anyway"
    assert job.refresh().status == "done"


# -- by force


def test_force_waits_for_a_call_into_c_to_return(connected: str) -> None:
    def asleep() -> None:
        begun.set()
        time.sleep(0.7)
        begun.clear()

    job = jobnb.submit(asleep)
    assert begun.wait(5)
    began = time.monotonic()
    assert job.cancel(force=True) is True
    assert job.refresh().status == "in_progress"
    assert job.wait(5)
    assert time.monotonic() - began > 0.3
    in_time(began, 3)
    assert begun.is_set(), "the line after the sleep was run"
    assert job.cancelled()


def test_force_runs_finally_blocks_and_is_repeated_only_by_the_user(connected: str) -> None:
    steps: list[str] = []

    def careful() -> None:
        try:
            deaf()
        finally:
            until_later = time.monotonic() + 1.3  # longer than the caretaker takes to look at the row again
            while time.monotonic() < until_later:
                pass
            steps.append("cleaned up")

    job = jobnb.submit(careful)
    assert begun.wait(5)
    job.cancel(force=True)
    assert job.wait(10)
    assert steps == ["cleaned up"]


def test_code_that_swallows_everything_can_be_stopped_by_insisting(connected: str) -> None:
    swallowed: list[str] = []

    def stubborn() -> None:
        while True:
            try:
                deaf()
            except BaseException as error:
                swallowed.append(type(error).__name__)
                if len(swallowed) == 3:
                    raise

    job = jobnb.submit(stubborn)
    assert begun.wait(5)
    for count in range(1, 4):
        assert job.cancel(force=True) is True
        until(lambda count=count: len(swallowed) == count)
    assert job.wait(5)
    assert job.cancelled()
    assert swallowed == ["StopRequested"] * 3


def test_force_never_hits_anything_but_the_function(connected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exceptions that race with the end of the function: unguarded, each one too late would cost the pool a thread."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    jobnb.configure(max_workers=2)
    outside: list[BaseException] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: outside.append(args.exc_value))

    def busy(seconds: float) -> str:
        ends = time.perf_counter() + seconds
        while time.perf_counter() < ends:
            sum(range(20))
        return "done"

    try:
        outcomes: Counter[str] = Counter()
        for _ in range(600):
            job = jobnb.submit(busy, 0.001)
            time.sleep(random.random() * 0.002)
            asked = job.cancel(force=True)
            assert job.wait(10), "its thread is gone"
            outcomes[f"{asked} {job.job.state}"] += 1
    finally:
        sys.setswitchinterval(interval)
    assert outcomes["True cancelled"] > 50
    assert outcomes.keys() <= {"True cancelled", "True done", "False done"}
    assert not outside
    assert jobnb.map(str, range(50)).results(10) == [str(number) for number in range(50)]
    default_service().runtime.recorder.settle(60)
    report = audit.report(connected)
    assert report.is_clean, report
    assert report.rows == 650


def test_stop_requests_of_the_users_own_making_are_ordinary_failures(connected: str) -> None:
    def raises() -> None:
        raise StopRequested

    job = jobnb.submit(raises)
    assert isinstance(job.exception(5), StopRequested)
    assert job.refresh().error_kind == "error"


# -- races


def test_cancelling_races_with_finishing_six_hundred_times(connected: str) -> None:
    def short(seconds: float) -> str:
        time.sleep(seconds / 2)
        jobnb.check_cancelled()
        time.sleep(seconds / 2)
        return "done"

    def race(number: int) -> tuple[bool, str, bool]:
        job = jobnb.submit(short, random.random() * 0.004)
        time.sleep(random.random() * 0.004)
        elsewhere = number % 3 == 0
        asked = default_service().run(queries.cancel_job, job.job_id) if elsewhere else job.cancel()
        job.wait(10)
        return asked, job.job.state, job.refresh().state == job.job.state

    with ThreadPoolExecutor(6) as pool:
        outcomes = Counter(pool.map(race, range(600)))
    assert {same for _, _, same in outcomes} == {True}
    assert {(asked, state) for asked, state, _ in outcomes} <= {
        (True, "cancelled"),
        (True, "done"),  # asked in time, noticed too late: True says that the request is recorded, not that it stopped
        (False, "done"),
    }
    assert sum(outcomes.values()) == 600
    report = audit.report(connected)
    assert report.is_clean, report
    assert report.rows == 600


def test_a_job_that_is_told_cancelled_before_it_started_has_not_run(connected: str) -> None:
    jobnb.configure(max_workers=4)
    ran: set[int] = set()
    jobs = []
    for number in range(1500):
        job = jobnb.submit(ran.add, number)
        job.cancel()
        jobs.append(job)
    assert all(job.wait(10) for job in jobs)
    stopped = {number for number, job in enumerate(jobs) if job.job.error_message == "cancelled before it started"}
    assert not stopped & ran
    assert {number for number, job in enumerate(jobs) if job.status == "done"} == ran
    assert len(stopped) + len(ran) == 1500


def test_cancelling_while_the_database_is_away_stops_the_job_and_is_recorded_later(
    through_proxy: str, proxy: ChaosProxy
) -> None:
    release = threading.Event()
    deafer = jobnb.submit(release.wait)
    job = jobnb.submit(listening)
    assert begun.wait(5)
    default_service().runtime.recorder.settle(60)
    proxy.mode = Mode.BLACK_HOLE
    for one in (job, deafer):
        asked = time.monotonic()
        assert one.cancel() is True
        in_time(asked, 1.5)
    assert job.wait(5)
    assert job.cancelled()
    proxy.cut()
    proxy.mode = Mode.PASS
    until(lambda: deafer.refresh().cancel_requested_at is not None)
    assert deafer.refresh().status == "in_progress"
    release.set()
    assert deafer.result() is True
    assert job.refresh().error_kind == "cancelled"


# -- timeouts


def test_a_timeout_that_stopped_the_function_says_so(connected: str) -> None:
    job = jobnb.submit(listening, timeout=0.2)
    with pytest.raises(jobnb.JobTimeout):
        job.result(5)
    row = job.refresh()
    assert (row.error_kind, row.error_message) == ("timeout", "timed out after 0.2 s; the function has stopped")
    assert row.timeout_s == 0.2


def test_a_timeout_stops_a_coroutine(connected: str) -> None:
    job = jobnb.submit(waiting, timeout=0.2)
    assert isinstance(job.exception(5), jobnb.JobTimeout)
    assert job.refresh().error_message == "timed out after 0.2 s; the function has stopped"


def test_a_timeout_that_could_not_stop_the_function_says_so_and_its_late_end_does_not_count(connected: str) -> None:
    jobnb.configure(max_workers=1)
    release, ended = threading.Event(), threading.Event()

    def deaf_for_a_while() -> str:
        release.wait()
        ended.set()
        return "too late"

    job = jobnb.submit(deaf_for_a_while, timeout=0.1)
    assert isinstance(job.exception(5), jobnb.JobTimeout)
    assert job.refresh().error_message == "timed out after 0.1 s; the function may still be running"
    follower = jobnb.submit(int, 3)
    assert follower.wait(0.3) is False  # its place is still taken
    release.set()
    assert follower.result(5) == 3
    assert ended.is_set()
    assert job.refresh().error_kind == "timeout"
    assert audit.report(connected).is_clean


def test_a_timeout_begins_with_the_function_and_not_in_the_queue(connected: str) -> None:
    jobnb.configure(max_workers=1)
    first = jobnb.submit(time.sleep, 0.5)
    second = jobnb.submit(time.sleep, 0.1, timeout=0.4)
    assert second.exception(5) is None
    assert first.exception(5) is None


# -- retries


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "FIRST_BACKOFF", 0.1)


def test_attempts_are_counted_in_the_row_and_pauses_grow(connected: str, quick: None) -> None:
    calls: list[float] = []

    def flaky() -> int:
        calls.append(time.monotonic())
        if len(calls) < 4:
            raise OSError("away")
        return len(calls)

    job = jobnb.submit(flaky, retries=5)
    assert job.result(10) == 4
    pauses = [after - before for before, after in pairwise(calls)]
    assert [pause > wanted for pause, wanted in zip(pauses, (0.1, 0.2, 0.4), strict=True)] == [True] * 3
    row = job.refresh()
    assert (row.status, row.attempt, row.max_attempts, row.error_message) == ("done", 4, 6, None)
    assert "attempt 3 failed: OSError: away" in str(job.logs())
    assert audit.report(connected).is_clean


def test_the_last_failure_is_the_jobs_own(connected: str, quick: None) -> None:
    job = jobnb.submit(int, "x", retries=2)
    assert isinstance(job.exception(10), ValueError)
    row = job.refresh()
    assert (row.error_kind, row.attempt, row.max_attempts) == ("error", 3, 3)


def test_cancelling_stops_retries_at_once(connected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "FIRST_BACKOFF", 30.0)
    calls: list[int] = []

    def flaky() -> None:
        calls.append(1)
        raise OSError("away")

    job = jobnb.submit(flaky, retries=5)
    until(lambda: job.job.progress_message)
    assert "the next one in 30 s" in str(job.logs())
    asked = time.monotonic()
    assert job.cancel() is True
    assert job.wait(5)
    in_time(asked, 1)
    assert job.cancelled()
    assert len(calls) == 1


def test_a_timeout_is_for_all_attempts_together(connected: str, quick: None) -> None:
    def flaky() -> None:
        time.sleep(0.05)
        raise OSError("away")

    job = jobnb.submit(flaky, retries=1000, timeout=0.5)
    assert isinstance(job.exception(5), jobnb.JobTimeout)
    row = job.refresh()
    assert (row.error_kind, row.error_message) == ("timeout", "timed out after 0.5 s; the function has stopped")


# -- ids


def test_cancelling_what_is_not_there_or_no_id_is_refused(connected: str) -> None:
    with jobnb.SyncJobService() as service:
        with pytest.raises(jobnb.JobNotFound):
            service.cancel_job("00000000-0000-0000-0000-000000000000")  # type: ignore[arg-type]
        with pytest.raises(jobnb.InvalidInput):
            service.cancel_job("nope")  # type: ignore[arg-type]
        job = service.submit(int, 1)
        job.result()
        assert service.cancel_job(job.job_id) is False
        twice = service.create_job(jobnb.JobCreate(job_type="x"))
        assert [service.cancel_job(twice.job_id) for _ in range(2)] == [True, False]  # nobody runs it: it ended at once
    with psycopg.connect(connected) as connection:
        found = connection.execute("SELECT error_message FROM jobs WHERE job_id = %s", [twice.job_id]).fetchone()
    assert found == ("cancelled before it started",)


def test_a_job_that_nobody_has_taken_ends_when_anybody_asks_in_whatever_way(connected: str) -> None:
    with jobnb.SyncJobService() as service:
        job = service.create_job(jobnb.JobCreate(job_type="x"))
        with psycopg.connect(connected, autocommit=True) as connection:
            connection.execute("UPDATE jobs SET cancel_requested_at = now()")
        row = service.get_job(job.job_id)
        assert (row.state, row.error_message) == ("cancelled", "cancelled before it started")
        assert row.finished_at is not None


def test_a_job_that_one_process_has_is_not_run_by_another(connected: str) -> None:
    release = threading.Event()
    with jobnb.SyncJobService(max_workers=1) as one, jobnb.SyncJobService(max_workers=2) as other:
        assert one.runtime.kernel_id != other.runtime.kernel_id
        job = one.create_job(jobnb.JobCreate(job_type="x"))
        future = one.run_job_async(job.job_id, release.wait)
        with pytest.raises(jobnb.InvalidTransition, match="another process has it"):
            other.run_job_async(job.job_id, release.wait)
        release.set()
        assert future.result(5) is True
        until(lambda: other.get_job(job.job_id).status == "done")
        with pytest.raises(jobnb.InvalidTransition, match="done"):
            other.run_job_async(job.job_id, release.wait)
