"""The header, the reports and the details: the numbers that a person acts on."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

import jobnb
from monitor import board
from monitor.filters import parse
from monitor.model import Bucket, Count, Overview, View
from monitor.postgres import PostgresSource

AddJobs = Callable[..., list[UUID]]
AddKernel = Callable[..., UUID]
Sql = psycopg.Connection[Any]


def look(source: PostgresSource) -> Overview:
    """A look at the header after everything was counted."""
    source.overview()
    source.overview()
    return source.overview()


def test_header_counts_every_state_exactly(source: PostgresSource, add_jobs: AddJobs) -> None:
    add_jobs(1, status="scheduled")
    add_jobs(2, status="in_progress")
    add_jobs(3, status="done")
    for count, kind in ((4, "error"), (5, "cancelled"), (6, "timeout"), (7, "lost"), (1, None)):
        add_jobs(count, status="failed", error_kind=kind)

    overview = look(source)

    assert overview.counts == {
        "scheduled": Count(1), "in_progress": Count(2), "done": Count(3), "failed": Count(5), "cancelled": Count(5),
        "timeout": Count(6), "lost": Count(7),
    }  # fmt: skip
    assert overview.total == Count(29)
    assert str(overview.total) == "29"


def test_first_look_is_quick_and_says_that_it_estimates(source: PostgresSource, add_jobs: AddJobs, sql: Sql) -> None:
    add_jobs(50)
    sql.execute("ANALYZE jobs")
    sql.execute("DELETE FROM jobs WHERE job_id IN (SELECT job_id FROM jobs LIMIT 10)")

    first = source.overview()

    assert (first.total, str(first.total)) == (Count(50, exact=False), "≈50")
    assert look(source).total == Count(40)


def test_new_jobs_are_added_to_what_was_counted(source: PostgresSource, add_jobs: AddJobs) -> None:
    add_jobs(20)
    look(source)
    add_jobs(5)
    source._board._changing.now()

    assert source.overview().total == Count(25)


def test_counts_that_are_old_are_not_exact(
    source: PostgresSource, add_jobs: AddJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_jobs(3, status="scheduled")
    look(source)
    monkeypatch.setattr(board, "_FRESH_SECONDS", 0.0)

    assert source.overview().counts["scheduled"] == Count(3, exact=False)


def test_throughput_has_a_bucket_for_every_second(source: PostgresSource, add_jobs: AddJobs, sql: Sql) -> None:
    add_jobs(6, finished_at=None)
    ended = "date_trunc('second', timezone('utc', now())) - interval '4.5 seconds'"
    with sql.transaction():
        sql.execute(f"UPDATE jobs SET finished_at = {ended}")  # type: ignore[arg-type]
        sql.execute(
            f"INSERT INTO jobs (job_type, status, finished_at) SELECT 'x', 'failed', {ended} FROM generate_series(1, 2)"  # type: ignore[arg-type]
        )

    buckets = source.overview().buckets

    assert len(buckets) == board.BUCKETS
    assert {later.at - earlier.at for earlier, later in itertools.pairwise(buckets)} == {timedelta(seconds=1)}
    assert [(bucket.done, bucket.failed) for bucket in buckets if bucket.done or bucket.failed] == [(6, 2)]


def test_queue_is_drained_at_the_rate_of_the_last_minute(source: PostgresSource, add_jobs: AddJobs) -> None:
    add_jobs(30, status="scheduled")
    overview = look(source)
    assert overview.drained_in is None
    busy = tuple(Bucket(bucket.at, 2, 1) for bucket in overview.buckets)

    running = Overview(**{**overview.__dict__, "buckets": busy})

    assert running.per_second() == 3.0
    assert running.drained_in == 10.0
    assert overview.oldest_queued is not None


def test_empty_table_has_a_header_too(source: PostgresSource) -> None:
    overview = look(source)

    assert (overview.total, overview.newest, overview.oldest_queued) == (Count(0), None, None)


def test_kernels_tell_whether_they_live(source: PostgresSource, add_jobs: AddJobs, add_kernel: AddKernel) -> None:
    kernels = {
        "alive": add_kernel(notebook="a/b/study.ipynb"),
        "silent": add_kernel(silent=300),
        "idle": add_kernel(silent=300),
        "stopped": add_kernel(stopped=True),
    }
    for state in ("alive", "silent", "stopped"):
        add_jobs(2, status="in_progress", kernel_id=kernels[state])
    add_jobs(1, status="scheduled", kernel_id=kernels["alive"])

    found = {kernel.kernel_id: kernel for kernel in source.kernels()}
    now = source.overview().as_of

    assert {state: found[kernel_id].state(now) for state, kernel_id in kernels.items()} == {
        state: state for state in kernels
    }
    first = source.kernels()[0]
    assert (first.kernel_id, first.running, first.queued, first.label) == (kernels["alive"], 2, 1, "study.ipynb")
    assert (source.overview().kernels, source.overview().silent) == (2, 1)


MESSAGES = {
    "ValueError: bad shape (12, 128)": "a",
    "ValueError: bad shape (7, 64)": "a",
    "KeyError: 'user_1'": "b",
    "KeyError: 'somebody else'": "b",
    'no row "x" in 0xdeadbeef': "c",
    'no row "yy" in 0x12': "c",
    "job 0190e5a0-0000-7000-8000-000000000001 is gone": "d",
    "job 0190e5a0-1111-7000-8000-000000000002 is gone": "d",
    "disk full": "e",
    None: "f",
}


def test_errors_that_differ_in_details_only_are_one_group(source: PostgresSource, add_jobs: AddJobs) -> None:
    for message in MESSAGES:
        add_jobs(2, status="failed", error_kind="error", error_message=message)

    report = source.errors()

    assert sorted(group.jobs for group in report.groups) == [2, 2, 4, 4, 4, 4]
    assert (report.examined, report.complete) == (20, True)
    newest = {group.message for group in report.groups}
    assert "ValueError: bad shape (7, 64)" in newest
    assert "" in newest


def test_group_tells_when_where_and_which(source: PostgresSource, add_jobs: AddJobs, sql: Sql) -> None:
    old = add_jobs(1, status="failed", error_kind="timeout", error_message="took 5 s", job_type="etl")
    sql.execute("UPDATE jobs SET finished_at = finished_at - interval '24 hours'")
    new = add_jobs(7, status="failed", error_kind="timeout", error_message="took 9 s")

    (group,) = source.errors().groups

    assert (group.state, group.jobs, group.message) == ("timeout", 8, "took 9 s")
    assert group.types == (("train", 7), ("etl", 1))
    assert group.sample == tuple(new[:-6:-1])
    assert (group.history[0], group.history[-1], sum(group.history)) == (1, 7, 8)
    assert group.first is not None
    assert group.last is not None
    assert timedelta(hours=23) < group.last - group.first < timedelta(hours=25)
    assert old[0] not in group.sample


def test_filter_for_a_group_finds_its_jobs(source: PostgresSource, add_jobs: AddJobs) -> None:
    add_jobs(3, status="failed", error_message="bad shape 1")
    others = add_jobs(2, status="failed", error_message="other")
    group = max(source.errors().groups, key=lambda one: one.jobs)
    view = View(parse(f"same:{group.fingerprint}"))
    while not source.survey(view).complete:
        pass

    found = {row.job_id for row in source.window(view, 0, 10).rows}

    assert len(found) == 3
    assert not found & set(others)


def test_cancelled_jobs_are_no_errors_unless_asked_for(source: PostgresSource, add_jobs: AddJobs) -> None:
    add_jobs(3, status="failed", error_kind="cancelled", error_message="cancelled")
    add_jobs(1, status="failed", error_kind="lost", error_message="lost")

    assert [group.state for group in source.errors().groups] == ["lost"]
    assert [group.state for group in source.errors(parse("state:cancelled")).groups] == ["cancelled"]


def test_failed_job_without_times_is_reported_too(source: PostgresSource, add_jobs: AddJobs) -> None:
    add_jobs(1, status="failed", error_message="x", finished_at=None, created_at=None)

    (group,) = source.errors().groups

    assert (group.jobs, group.first, group.last) == (1, None, None)


def test_types_tell_what_waits_runs_and_how_long_it_takes(source: PostgresSource, add_jobs: AddJobs, sql: Sql) -> None:
    for seconds in range(1, 101):
        add_jobs(1, duration_s=float(seconds))
    sql.execute("UPDATE jobs SET started_at = created_at + interval '3 seconds'")
    add_jobs(5, status="failed", duration_s=50.0)
    add_jobs(2, status="scheduled")
    add_jobs(1, status="in_progress", job_type="etl")

    report = source.types()
    found = {row.job_type: row for row in report.types}

    train, etl = found["train"], found["etl"]
    assert (train.queued, train.running, train.finished, train.failures) == (2, 0, 105, 5)
    assert train.p50 == pytest.approx(50, abs=1)
    assert train.p95 == pytest.approx(95, abs=1)
    assert train.wait_p50 == pytest.approx(3)
    assert sum(train.history) == 105
    assert (etl.running, etl.finished, etl.p50, etl.last) == (1, 0, None, None)
    assert report.types[0] is etl
    assert [row.job_type for row in source.types(parse("type:etl")).types] == ["etl"]


def test_detail_has_everything_about_a_job(
    source: PostgresSource, add_jobs: AddJobs, add_kernel: AddKernel, sql: Sql
) -> None:
    kernel_id, group_id = add_kernel(), UUID(int=5)
    (job_id,) = add_jobs(
        1, status="failed", error_kind="error", error_message="bad", traceback="Trace\nback", kernel_id=kernel_id,
        group_id=group_id, result={"result": 5}, source={"function": "f"},
    )  # fmt: skip
    add_jobs(2, group_id=group_id)
    retry = add_jobs(1, retry_of=job_id, status="in_progress")[0]
    sql.execute(
        "INSERT INTO job_logs SELECT %s, n, now(), 'stdout', 'line ' || n FROM generate_series(1, 7) n", (job_id,)
    )
    sql.execute(
        "INSERT INTO job_values SELECT %s, 'frame', n, 'arrow', '{\"rows\": 3}', 'abcd' FROM generate_series(0, 1) n",
        (job_id,),
    )

    detail = source.detail(job_id)
    of_retry = source.detail(retry)

    assert detail is not None
    assert (detail.job.traceback, detail.job.source, detail.job.result) == (
        "Trace\nback",
        {"function": "f"},
        {"result": 5},
    )
    assert (detail.row.job_id, detail.log_lines, detail.group) == (job_id, 7, {"failed": 1, "done": 2})
    assert detail.kernel is not None
    assert detail.kernel.kernel_id == kernel_id
    assert [(value.name, value.kind, value.parts, value.size, value.meta) for value in detail.values] == [
        ("frame", "arrow", 2, 8, {"rows": 3})
    ]
    assert [row.job_id for row in detail.retries] == [retry]
    assert of_retry is not None
    assert of_retry.original is not None
    assert of_retry.original.job_id == job_id


def test_detail_of_a_waiting_job_tells_its_place_in_the_queue(
    source: PostgresSource, add_jobs: AddJobs, add_kernel: AddKernel
) -> None:
    kernel_id = add_kernel()
    ids = sorted(add_jobs(5, status="scheduled", kernel_id=kernel_id))

    queues = [detail.queue for job_id in ids if (detail := source.detail(job_id))]

    assert queues == [0, 1, 2, 3, 4]


def test_job_that_is_not_there_has_no_detail_and_no_log(source: PostgresSource) -> None:
    assert source.detail(UUID(int=1)) is None
    assert source.log(UUID(int=1)) == ((), 0)


def test_log_is_read_from_its_end_and_both_ways_from_there(source: PostgresSource, add_jobs: AddJobs, sql: Sql) -> None:
    (job_id,) = add_jobs(1)
    sql.execute(
        "INSERT INTO job_logs SELECT %s, n, now(), 'stdout', 'line ' || n FROM generate_series(1, 100) n WHERE n <> 50",
        (job_id,),
    )

    def numbers(**how: int) -> list[int]:
        return [row.n for row in source.log(job_id, limit=10, **how).rows]

    assert numbers() == list(range(91, 101))
    assert numbers(before=91) == list(range(81, 91))
    assert numbers(after=95) == [96, 97, 98, 99, 100]
    assert numbers(after=45) == [46, 47, 48, 49, 51, 52, 53, 54, 55, 56]
    assert numbers(after=100) == []
    assert source.log(job_id, limit=1).last == 100


def test_real_job_is_seen_from_its_queue_to_its_end(client: str, source: PostgresSource) -> None:
    def learn() -> str:
        for _ in jobnb.track(range(3), description="epoch"):
            print("learning")
        return "model"

    handle = jobnb.submit(learn, job_type="training", name="my model")
    assert handle.result(30) == "model"
    deadline = time.monotonic() + 30
    # its parts are read one after the other: the line may be newer than the job
    while (detail := source.detail(handle.job_id)) is None or detail.log_lines < 3 or not detail.job.status.is_final:
        assert time.monotonic() < deadline
        time.sleep(0.02)

    assert (detail.row.title, detail.row.job_type, detail.job.result) == ("my model", "training", {"result": "model"})
    assert detail.kernel is not None
    assert [row.line for row in source.log(handle.job_id).rows] == ["learning"] * 3
    assert source.find(detail.row.short_id)[0].job_id == handle.job_id
