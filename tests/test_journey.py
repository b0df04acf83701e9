"""One job through every room, as a data scientist sees it."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import psycopg
import pytest

import jobnb
from jobnb.models import JobStatus

pytestmark = pytest.mark.usefixtures("client")


def double(number: int) -> dict[str, int]:
    print("doubling", number)
    for _ in jobnb.track(range(2), description="step"):
        pass
    return {"b": number * 2, "a": number}


def test_submit_returns_at_once_and_the_row_tells_the_end(client: str) -> None:
    release = threading.Event()
    job = jobnb.submit(release.wait, job_type="slow", name="waiter")
    assert job.status in (JobStatus.SCHEDULED, JobStatus.IN_PROGRESS)
    release.set()
    assert job.result(10) is True
    row = job.refresh()
    assert (row.status, row.job_type, row.name, row.result) == ("done", "slow", "waiter", {"result": True})
    assert row.created_at and row.started_at and row.finished_at
    assert row.created_at <= row.started_at <= row.finished_at
    assert row.job_id.version == 7


def test_the_live_object_comes_back_here_and_the_stored_value_from_the_row() -> None:
    value = object()
    job = jobnb.submit(lambda: value)
    assert job.result() is value
    number = jobnb.submit(double, 4)
    assert number.result() == {"b": 8, "a": 4}
    stored = jobnb.handle.JobHandle(jobnb.api.default_service().runtime, str(number.job_id), None)  # type: ignore[attr-defined]
    assert list(stored.result().items()) == [("b", 8), ("a", 4)]


def test_a_failed_job_raises_the_original_exception_from_the_users_line() -> None:
    def broken() -> None:
        raise ValueError("no such column")

    job = jobnb.submit(broken)
    with pytest.raises(ValueError, match="no such column") as caught:
        job.result()
    names = [entry.name for entry in caught.traceback]
    assert names[-1] == "broken"
    assert "run" not in names
    row = job.refresh()
    assert (row.status, row.error_kind, row.error_message) == (
        "failed",
        "error",
        "ValueError: no such column",
    )
    assert row.traceback is not None
    assert "in broken" in row.traceback
    assert "runner.py" not in row.traceback


def test_raising_twice_does_not_grow_the_traceback() -> None:
    job = jobnb.submit(lambda: 1 / 0)
    depths = []
    for _ in range(3):
        with pytest.raises(ZeroDivisionError) as caught:
            job.result()
        depths.append(len(caught.traceback))
    assert depths[0] == depths[2]


def test_a_short_id_and_a_full_id_find_the_job() -> None:
    job = jobnb.submit(double, 1)
    job.result()
    assert jobnb.get(job.job.short_id).job_id == job.job_id
    assert jobnb.get(str(job.job_id)).job_id == job.job_id
    assert jobnb.get(job.job_id.hex[:16]).job_id == job.job_id


def test_an_unknown_id_is_not_found() -> None:
    with pytest.raises(jobnb.JobNotFound):
        jobnb.get(UUID(int=5))
    with pytest.raises(jobnb.JobNotFound):
        jobnb.get("deadbeef")


def test_a_map_takes_the_options_of_submit_for_all_its_jobs() -> None:
    document = uuid4()
    with ThreadPoolExecutor(1) as executor:
        group = jobnb.map(str, [1, 2], name="both", document_id=document, initial_data={"a": 1}, executor=executor)
        assert group.results() == ["1", "2"]
    rows = [handle.refresh() for handle in group]
    assert {(row.name, row.document_id, row.executor, row.initial_data["a"]) for row in rows} == {
        ("both", document, "ThreadPoolExecutor", 1)
    }


def test_map_keeps_the_order_and_counts_the_states() -> None:
    group = jobnb.map(lambda number: 1 // number, [1, 2, 0])
    assert group.wait(10)
    assert group.counts() == {"done": 2, "failed": 1}
    assert [type(error) for error in group.exceptions()] == [type(None), type(None), ZeroDivisionError]
    assert jobnb.jobs(status="failed")[0].group_id == group.group_id
    assert "2 done, 1 failed" in repr(group)


def test_as_completed_gives_the_fast_one_first() -> None:
    slow_may_end = threading.Event()
    slow, fast = jobnb.submit(slow_may_end.wait), jobnb.submit(double, 2)
    ended = jobnb.as_completed([slow, fast], timeout=10)
    assert next(ended) is fast
    slow_may_end.set()
    assert next(ended) is slow


def test_waiting_gives_up_and_the_job_goes_on() -> None:
    release = threading.Event()
    job = jobnb.submit(release.wait)
    with pytest.raises(jobnb.WaitTimeout):
        job.result(timeout=0.05)
    assert not job.done()
    release.set()
    assert job.result() is True


async def test_await_gives_the_value_in_any_loop() -> None:
    async def later() -> int:
        await asyncio.sleep(0.01)
        return 7

    assert await jobnb.submit(later) == 7
    assert await jobnb.gather(jobnb.submit(double, 1), jobnb.submit(double, 2)) == [
        {"b": 2, "a": 1},
        {"b": 4, "a": 2},
    ]


def test_a_job_stops_at_its_next_progress_call() -> None:
    begun = threading.Event()

    def endless() -> None:
        while True:
            begun.set()
            jobnb.progress(0.5, "still at it")
            time.sleep(0.001)

    job = jobnb.submit(endless)
    assert begun.wait(10)
    assert job.cancel() is True
    with pytest.raises(jobnb.JobCancelled):
        job.result(10)
    row = job.refresh()
    assert (row.status, row.error_kind, row.state) == ("failed", "cancelled", "cancelled")
    assert job.cancel() is False


def test_a_queued_job_that_is_cancelled_never_starts() -> None:
    release, ran = threading.Event(), []
    jobnb.configure(max_workers=1)
    first = jobnb.submit(release.wait)
    second = jobnb.submit(ran.append, 1)
    assert second.cancel() is True
    assert second.status == "failed"
    release.set()
    first.result()
    assert second.refresh().error_message == "cancelled before it started"
    assert ran == []


def test_a_timeout_says_that_the_function_may_still_run() -> None:
    release = threading.Event()
    job = jobnb.submit(lambda: release.wait(), timeout=0.05)
    with pytest.raises(jobnb.JobTimeout):
        job.result(10)
    row = job.refresh()
    assert row.error_kind == "timeout"
    assert "may still be running" in (row.error_message or "")
    release.set()


def test_retries_run_the_function_again_and_count() -> None:
    calls: list[int] = []

    def flaky() -> int:
        calls.append(1)
        if len(calls) == 1:
            raise OSError("away")
        return len(calls)

    job = jobnb.submit(flaky, retries=2)
    assert job.result(10) == 2
    assert job.refresh().attempt == 2


def test_retry_makes_a_new_job_of_the_same_call() -> None:
    job = jobnb.submit(double, 21)
    with pytest.raises(jobnb.InvalidTransition):
        jobnb.submit(threading.Event().wait, 0.2).retry()
    assert job.result() == job.retry().result(10)
    failed = jobnb.submit(int, "x")
    failed.exception()
    again = failed.retry()
    assert isinstance(again.exception(10), ValueError)
    assert again.refresh().retry_of == failed.job_id


def test_output_is_kept_and_still_shown(capsys: pytest.CaptureFixture[str]) -> None:
    def speak() -> None:
        print("from the job")
        thread = threading.Thread(target=print, args=("from its thread",))
        thread.start()
        thread.join()

    job = jobnb.submit(speak)
    job.result()
    assert [line.line for line in job.logs()] == ["from the job", "from its thread"]
    assert capsys.readouterr().out == "from the job\nfrom its thread\n"


def test_following_a_log_ends_with_the_job() -> None:
    def speak() -> None:
        for number in range(5):
            print("line", number)
            time.sleep(0.02)

    job = jobnb.submit(speak)
    assert [line.line for line in job.logs(follow=True)] == [f"line {number}" for number in range(5)]


@pytest.mark.parametrize("stop", [SystemExit(3), KeyboardInterrupt(), StopIteration(1), GeneratorExit()])
def test_whatever_a_job_raises_it_is_failed_and_nobody_hangs(stop: BaseException) -> None:
    def leave() -> None:
        raise stop

    job = jobnb.submit(leave)
    assert job.exception(10) is stop
    assert job.refresh().error_kind == "error"


def test_an_exception_whose_text_raises_is_kept() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    def broken() -> None:
        raise Mute

    job = jobnb.submit(broken)
    job.exception(10)
    assert "Mute" in (job.refresh().error_message or "")


def test_other_tools_read_the_row_while_it_runs(client: str) -> None:
    release = threading.Event()

    def slow() -> None:
        jobnb.progress(0.25, "reading")
        release.wait()

    job = jobnb.submit(slow)
    with psycopg.connect(client) as connection:
        deadline = time.monotonic() + 10
        row = None
        while row != ("in_progress", 0.25, "reading") and time.monotonic() < deadline:
            found = connection.execute(
                "SELECT status::text, progress, progress_message FROM jobs WHERE job_id = %s", [job.job_id]
            )
            row = found.fetchone()
            connection.rollback()
        assert row == ("in_progress", 0.25, "reading")
    release.set()


def test_a_cancel_from_elsewhere_is_noticed(client: str) -> None:
    def endless() -> None:
        while True:
            jobnb.check_cancelled()
            time.sleep(0.01)

    job = jobnb.submit(endless)
    with psycopg.connect(client, autocommit=True) as connection:
        changed = 0
        while not changed:
            changed = connection.execute(
                "UPDATE jobs SET cancel_requested_at = now() WHERE job_id = %s AND status = 'in_progress'",
                [job.job_id],
            ).rowcount
    assert job.wait(10)
    assert job.cancelled()
