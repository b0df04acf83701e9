"""A `map` of many jobs: each is a job like any other, however short, and costs little."""

from __future__ import annotations

import threading
import time
from typing import Any
from uuid import UUID

import psycopg
import pytest
from waiting import until

import jobnb
from jobnb.api import default_service
from jobnb.ids import IdRange
from jobnb.recorder.batch import Pending
from jobnb.recorder.events import NOT_SAID, Event, EventKind, PlainEnd, whole
from jobnb.recorder.lines import LineWriter, parse_lines
from jobnb.recorder.parameters import arrays, payload
from jobnb.tracking.execution import Execution
from jobnb.tracking.mapped import MappedJobs

SHARED = '"job_type":"a","created_at":1700000000.000000'

pytestmark = pytest.mark.usefixtures("client")


def rows_of(group: jobnb.JobGroup[object]) -> list[jobnb.Job]:
    return [handle.refresh() for handle in group]


# -- as the user sees it


def test_every_item_is_a_row_with_its_own_times_and_value() -> None:
    group = jobnb.map(lambda number: number * 2, range(300), name="double", job_type="math")
    assert group.results(20) == list(range(0, 600, 2))
    rows = rows_of(group)  # type: ignore[arg-type] # values do not matter here
    assert [row.result for row in rows] == [{"result": number * 2} for number in range(300)]
    assert {(row.status.value, row.name, row.job_type, row.group_id) for row in rows} == {
        ("done", "double", "math", group.group_id)
    }
    assert len({row.job_id for row in rows}) == 300
    for row in rows:
        assert row.created_at is not None
        assert row.started_at is not None
        assert row.finished_at is not None
        assert row.created_at <= row.started_at <= row.finished_at
        assert row.duration_s is not None
        assert row.source is not None


def test_the_same_place_of_a_group_is_the_same_handle() -> None:
    group = jobnb.map(int, range(50))
    first = group[0]
    assert group.wait(20)
    assert group[0] is first
    assert group[-1] is list(group)[49]
    assert [handle.result() for handle in group] == list(range(50))
    assert {handle.state for handle in group} == {"done"}
    assert jobnb.get(group[7].job_id).result() == 7


def test_a_job_that_was_let_go_is_found_with_all_it_left() -> None:
    group = jobnb.map(str, range(200))
    assert group.wait(20)
    execution = default_service().runtime.execution_of(group[123].job_id)
    assert execution is not None
    job, row = group[123].job, group[123].refresh()
    assert (execution.value, execution.status) == ("123", "done")
    assert job.started_at is not None
    assert row.started_at is not None
    assert abs(job.started_at - row.started_at).total_seconds() < 0.000_002
    assert job.duration_s == pytest.approx(row.duration_s, abs=0.000_001)
    assert not group[123].cancel()


def test_a_map_of_nothing_is_over_at_once() -> None:
    group = jobnb.map(int, [])
    assert group.wait(0)
    assert group.done()
    assert group.results() == []
    assert group.counts() == {}


def test_jobs_of_a_map_fail_print_and_report_each_for_itself() -> None:
    def work(number: int) -> int:
        if number % 10 == 1:
            print(f"number {number}")
        if number % 10 == 2:
            jobnb.progress(0.5, f"half of {number}")
        if number % 10 == 3:
            raise ValueError(f"not {number}")
        return number

    group = jobnb.map(work, range(100))
    assert group.wait(20)
    assert group.counts() == {"done": 90, "failed": 10}
    rows = rows_of(group)  # type: ignore[arg-type] # values do not matter here
    for number, (handle, row) in enumerate(zip(group, rows, strict=True)):
        assert [line.line for line in handle.logs()] == ([f"number {number}"] if number % 10 == 1 else [])
        assert row.progress_message == (f"half of {number}" if number % 10 == 2 else None)
        assert row.error_message == (f"ValueError: not {number}" if number % 10 == 3 else None)
    with pytest.raises(ValueError, match="not 3"):
        group.results()


def test_queued_jobs_of_a_map_can_be_cancelled_and_never_run() -> None:
    go_on, ran = threading.Event(), list[int]()

    def work(number: int) -> None:
        ran.append(number)
        go_on.wait(20)

    group = jobnb.map(work, range(40))
    workers = default_service().settings.max_workers
    until(lambda: len(ran) == workers)
    assert sum(handle.cancel() for handle in group[workers:]) == 40 - workers
    go_on.set()
    assert group.wait(20)
    assert len(ran) == workers
    assert group.counts() == {"done": workers, "cancelled": 40 - workers}


def test_a_running_job_of_a_map_is_cancelled_by_its_row() -> None:
    def work(number: int) -> None:
        while True:
            time.sleep(0.01)
            jobnb.check_cancelled()

    group = jobnb.map(work, range(2))
    until(group[1].running)
    assert jobnb.SyncJobService().cancel_job(group[1].job_id)
    assert group[1].wait(20)
    assert group[1].cancelled()
    assert group.cancel() == 1
    assert group.wait(20)


def test_a_failed_job_of_a_map_can_be_run_again() -> None:
    tries: list[int] = []

    def work(number: int) -> int:
        tries.append(number)
        if len(tries) == 1:
            raise ValueError("the first time")
        return number

    group = jobnb.map(work, [5])
    assert isinstance(group[0].exception(20), ValueError)
    assert group[0].retry().result(20) == 5


# -- who runs them


def test_long_jobs_of_a_map_run_at_the_same_time() -> None:
    workers = default_service().settings.max_workers
    barrier = threading.Barrier(workers)
    group = jobnb.map(lambda number: barrier.wait(20), range(workers))
    assert sorted(group.results(20)) == list(range(workers))


def test_short_jobs_do_not_keep_the_long_ones_behind_them_from_running_at_the_same_time() -> None:
    workers = default_service().settings.max_workers
    barrier = threading.Barrier(workers)

    def work(number: int) -> None:
        if number >= 2000:
            barrier.wait(20)

    assert jobnb.map(work, range(2000 + workers)).wait(20)
    assert not barrier.broken


def test_a_short_job_before_a_long_one_is_told_and_stored_while_that_runs() -> None:
    go_on = threading.Event()

    def work(number: int) -> int:
        if number >= 1000:
            go_on.wait(20)
        return number

    group = jobnb.map(work, range(1000 + default_service().settings.max_workers))
    assert [handle.result(10) for handle in group[:1000]] == list(range(1000))
    assert jobnb.SyncJobService().get_job(group[999].job_id).status == "done"  # type: ignore[union-attr] # it is there
    go_on.set()
    assert group.wait(20)


def test_a_job_submitted_behind_a_long_map_of_short_jobs_does_not_wait_for_its_end() -> None:
    group = jobnb.map(int, range(20_000))
    assert jobnb.submit(int).result(20) == 0
    assert not group.done()
    assert group.wait(60)


def no_thread(self: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_a_map_runs_in_the_threads_there_are_when_no_further_one_can_start(monkeypatch: pytest.MonkeyPatch) -> None:
    assert jobnb.submit(int).result(20) == 0
    monkeypatch.setattr(threading.Thread, "start", no_thread)
    assert jobnb.map(lambda number: time.sleep(0.001), range(20)).wait(20)
    assert jobnb.map(int, range(2000)).results(20) == list(range(2000))
    assert jobnb.submit(int).result(20) == 0


def test_a_callback_that_waits_keeps_no_job_of_the_map_from_its_turn() -> None:
    assert jobnb.map(int, range(3000)).wait(20)  # quick ones: one thread keeps them
    go_on, waited = threading.Event(), threading.Event()

    def work(number: int) -> None:
        if number == 101:
            go_on.wait(20)
        if number == 110:
            go_on.set()

    group = jobnb.map(work, range(200))

    def wait_for_a_later_one(_handle: object) -> None:
        group[110].wait(20)
        waited.set()

    group[100].add_done_callback(wait_for_a_later_one)
    assert waited.wait(10)
    assert group.wait(10)


def test_a_fault_in_running_one_job_of_a_map_costs_no_other_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert jobnb.map(int, range(3000)).wait(20)  # quick ones: one thread keeps them
    threads = default_service().runtime.threads
    run, ran, new, made = threads._run_job, list[object](), MappedJobs._new, list[int]()

    def make(mapped: MappedJobs, index: int) -> Execution:
        made.append(index)
        if len(made) % 500 == 0:
            raise MemoryError
        return new(mapped, index)

    def run_job(execution: Execution, has_more: Any) -> None:
        run(execution, has_more)
        ran.append(execution)
        if len(ran) % 700 == 0:
            raise MemoryError

    monkeypatch.setattr(threads, "_run_job", run_job)
    monkeypatch.setattr(MappedJobs, "_new", make)
    groups = [jobnb.map(int, range(2000)) for _ in range(3)]
    assert all(group.wait(20) for group in groups)
    monkeypatch.undo()
    assert all(group.results() == list(range(2000)) for group in groups)
    until(lambda: len(ran) == 6000)  # a job is told to have ended before the thread comes back from running it
    assert len(set(ran)) == 6000


def test_a_callback_that_takes_long_does_not_keep_the_ends_of_other_jobs_from_being_told() -> None:
    recorder, told, waited = default_service().runtime.recorder, threading.Event(), list[bool]()

    def a_job() -> Event:
        return Event(EventKind.NEW, IdRange.new(1).text(0), 1, SHARED)

    with recorder.intake._lock:  # so that both are taken along together
        recorder.put(a_job(), lambda: lambda: waited.append(told.wait(5)))
        recorder.put(a_job(), told.set)
    recorder.intake.write_gathered()
    assert waited == [True]


# -- how it is written down


def plain(job_id: str, value: str = "null", created: str = NOT_SAID, shared: str = SHARED) -> PlainEnd:
    return job_id, shared, created, "1700000001500000e-6", "1700000003750000e-6", "2250000e-6", value


def test_the_lines_of_a_spool_give_maps_and_plain_ends_back() -> None:
    first = IdRange.new(3).text(0)
    events = [
        Event(EventKind.MAP, first, 1, '"status":"scheduled"', SHARED, 3),
        plain(first, '{"text": "with spaces = and \\"quotes\\""}'),
        plain(first, "0.5", "1700000000.250000"),
    ]
    found, damaged = parse_lines([line.rstrip(b"\n") for line in LineWriter().lines(events)])
    assert damaged == 0
    assert found == [events[0], *events]  # maps come twice


def test_damage_to_one_line_does_not_cost_the_jobs_of_a_map() -> None:
    ids = IdRange.new(3)
    event = Event(EventKind.MAP, ids.text(0), 1, '"status":"scheduled"', SHARED, 3)
    lines = [line.rstrip(b"\n") for line in LineWriter().lines([event])]
    found, damaged = parse_lines([lines[0], lines[1].replace(b"scheduled", b"schedul d"), *lines[2:]])
    assert damaged == 1
    pending = Pending()
    pending.add(found)
    assert [one.job_id for one in pending.take(ended_only=False).new] == list(ids)


def test_jobs_of_a_map_that_ended_are_new_and_the_others_are_left_for_later() -> None:
    ids = IdRange.new(4)
    pending = Pending()
    pending.add([Event(EventKind.MAP, ids.text(0), 1, '"status":"scheduled"', SHARED, 4), plain(ids.text(2))])
    assert pending.without_row == 4
    assert pending.take(ended_only=True).done == [plain(ids.text(2))]
    assert pending.without_row == 3
    pending.add([Event(EventKind.START, ids.text(1), 1, '"status":"in_progress"', SHARED)])
    batch = pending.take(ended_only=False)
    assert [(one.job_id, one.kind) for one in batch.new] == [
        (ids.text(1), EventKind.START), (ids.text(0), EventKind.NEW), (ids.text(3), EventKind.NEW),
    ]  # fmt: skip
    assert not pending
    pending.add([plain(ids.text(0))])
    assert pending.take(ended_only=True).changed == [whole(plain(ids.text(0)))]


def test_lines_of_a_map_s_job_wait_for_its_row() -> None:
    ids = IdRange.new(2)
    lines = Event(EventKind.LOGS, ids.text(1), 1, '{"n":1}')
    pending = Pending()
    pending.add([Event(EventKind.MAP, ids.text(0), 1, '"status":"scheduled"', SHARED, 2), lines])
    assert pending.take(ended_only=True).logs == []
    assert pending.take(ended_only=False).logs == [lines]


# -- what the database makes of it

HOSTILE = ['"a \\"b\\" \\\\ {c,d} NULL"', "null", "[1, 2.5, {}]", '""', '"\\u00e4\\u20ac, \\n"', '"NULL"']


def test_plain_ends_become_the_rows_that_whole_records_become(database_url: str) -> None:
    from jobnb.db.queries import record_done, record_new

    by_columns, as_records = [list(IdRange.new(len(HOSTILE))) for _ in range(2)]
    shared = f'{SHARED},"name":"n","timeout_s":2.5,"max_attempts":3,"source":{{"function":"f"}}'
    ends = [
        [plain(job_id, value, shared=shared) for job_id, value in zip(ids, HOSTILE, strict=True)]
        for ids in (by_columns, as_records)
    ]
    with psycopg.connect(database_url, autocommit=True) as connection:
        record_done(connection, *arrays(ends[0]))
        record_new(connection, *payload([whole(end) for end in ends[1]]))
        rows = connection.execute(
            "SELECT to_jsonb(jobs) - 'job_id' FROM jobs WHERE job_id = ANY(%s) ORDER BY job_id", [by_columns]
        ).fetchall()
        assert (
            rows
            == connection.execute(
                "SELECT to_jsonb(jobs) - 'job_id' FROM jobs WHERE job_id = ANY(%s) ORDER BY job_id", [as_records]
            ).fetchall()
        )
    assert len(rows) == len(HOSTILE)
    assert rows[0][0]["duration_s"] == 2.25
    assert rows[0][0]["created_at"] == "2023-11-14T22:13:20"


def test_plain_ends_of_jobs_that_have_a_row_overwrite_a_suspicion_of_loss_and_nothing_final(database_url: str) -> None:
    recorder = default_service().runtime.recorder
    lost, failed, done, new = ids = list(IdRange.new(4))
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO jobs (job_id, job_type, status, error_kind, error_message, result)"
            " VALUES (%s, 'a', 'failed', 'lost', 'gone', '{}'), (%s, 'a', 'failed', 'error', 'wrong', '{}'),"
            " (%s, 'a', 'done', NULL, NULL, '{\"result\": 0}')",
            [lost, failed, done],
        )
        recorder.put_all([Event(EventKind.NEW, job_id, 1, '"status":"scheduled"', SHARED) for job_id in ids])
        recorder.put_all([plain(job_id, "1") for job_id in ids])
        recorder.settle(20)
        rows = connection.execute("SELECT job_id, status::text, error_kind, error_message, result FROM jobs").fetchall()
    assert sorted(rows) == [
        (UUID(lost), "done", None, None, {"result": 1}),
        (UUID(failed), "failed", "error", "wrong", {}),
        (UUID(done), "done", None, None, {"result": 0}),
        (UUID(new), "done", None, None, {"result": 1}),
    ]
    assert recorder.outage is None


def test_a_plain_end_that_the_database_refuses_costs_no_other_one() -> None:
    recorder = default_service().runtime.recorder
    ids = list(IdRange.new(101))
    too_long = f'"job_type":"{"x" * 60}"'
    events = [
        event
        for number, job_id in enumerate(ids)
        for event in (
            Event(EventKind.NEW, job_id, 1, '"status":"scheduled"', too_long if number == 50 else SHARED),
            plain(job_id, shared=too_long if number == 50 else SHARED),
        )
    ]
    recorder.put_all(events)
    recorder.settle(20)
    assert {str(job.job_id) for job in jobnb.jobs(limit=1000)} == set(ids) - {ids[50]}
    assert ids[50] in recorder.dead_letters.read_text()
