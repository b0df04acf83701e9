"""Ctrl-C, destructors and signal handlers in the middle of jobnb's own code: nothing is lost, and nobody hangs."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextvars import Context
from pathlib import Path
from typing import Any

import psycopg
import pytest
from waiting import until

import jobnb
from jobnb.api import default_service
from jobnb.db import queries, schema
from jobnb.db.database import Database
from jobnb.ids import new_id_text
from jobnb.recorder import Recorder
from jobnb.recorder.events import Event, EventKind
from jobnb.recorder.spool import Spool, read_segment
from jobnb.settings import Settings
from jobnb.tracking.execution import Execution
from jobnb.tracking.executions import Executions
from jobnb.tracking.log import JobLog
from jobnb.tracking.mapped import MappedJobs
from jobnb.tracking.work import accept, make_work

# a signal that interrupts whatever the main thread does, as Ctrl-C does, but in the middle of it for sure
INTERRUPTS = """
import random, signal, time, jobnb

def interrupt(number, frame):
    raise KeyboardInterrupt

def work(number):
    return number

jobnb.submit(work, 0).result(30)
signal.signal(signal.SIGALRM, interrupt)
"""
ALL_END = """
runtime = jobnb.api.default_service().runtime
deadline = time.monotonic() + 20
while runtime.executions.are_active and time.monotonic() < deadline:
    time.sleep(0.01)
assert interrupts > 10, interrupts
assert not runtime.executions.are_active, f"{len(list(runtime.executions.unfinished()))} jobs neither run nor end"
"""

INTERRUPTED = f"""{INTERRUPTS}
handles, interrupts, end = [], 0, time.monotonic() + 1.5
while time.monotonic() < end:
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.002 + (interrupts % 17) * 0.0003)
        while True:
            handles.append(jobnb.submit(work, 1))
    except KeyboardInterrupt:
        signal.setitimer(signal.ITIMER_REAL, 0)
        interrupts += 1
{ALL_END}
assert sum(handle.result(10) for handle in handles) == len(handles)
runtime.recorder.settle(60)
assert len(jobnb.jobs(status="done", limit=10**6)) > len(handles)
assert jobnb.jobs(status="scheduled") == jobnb.jobs(status="in_progress") == []
"""


def run(script: str, folder: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, timeout=55, check=False
    )
    assert ended.returncode == 0, ended.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no SIGALRM")
@pytest.mark.usefixtures("client")
def test_jobs_submitted_between_interrupts_all_end_and_no_job_is_left_waiting(tmp_path: Path) -> None:
    run(INTERRUPTED, tmp_path)


# -- the recorder, interrupted at each of its steps


@pytest.fixture
def recorder(settings: Settings, tmp_path: Path) -> Iterator[Recorder]:
    database = Database(settings)
    recorder = Recorder(database, tmp_path / "spool", new_id_text())
    yield recorder
    recorder.close(5)
    database.close()


def a_job() -> Event:
    return Event(EventKind.NEW, new_id_text(), 1, '"job_type":"interrupted"')


def interrupted(call: Callable[..., Any], *, before: bool) -> Callable[..., Any]:
    """The same, but the first time an interrupt comes just before or just after it."""
    came = threading.Event()

    def instead(*args: Any, **options: Any) -> Any:
        if before and not came.is_set():
            came.set()
            raise KeyboardInterrupt
        result = call(*args, **options)
        if not came.is_set():
            came.set()
            raise KeyboardInterrupt
        return result

    return instead


@pytest.mark.parametrize("before", [True, False])
def test_an_interrupt_while_the_spool_is_written_loses_no_event_of_any_thread(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, database_url: str, *, before: bool
) -> None:
    others, told = a_job(), threading.Event()
    with recorder.intake._lock:  # so that the event of another thread waits to be taken along
        recorder.put(others, told.set)
    monkeypatch.setattr(recorder.intake._spool, "append", interrupted(recorder.intake._spool.append, before=before))
    with pytest.raises(KeyboardInterrupt):
        recorder.put_all([a_job()])
    recorder.intake.mend()
    assert told.is_set()
    recorder.settle(60)
    assert recorder.waiting == 0
    assert stored(database_url) == 2


def test_an_interrupt_in_what_follows_an_event_does_not_keep_it_from_the_others(recorder: Recorder) -> None:
    told = threading.Event()
    with recorder.intake._lock:
        recorder.put(a_job(), interrupted(lambda: None, before=True))
        recorder.put(a_job(), told.set)
    with pytest.raises(KeyboardInterrupt):
        recorder.put_all([a_job()])
    recorder.intake.mend()
    assert told.is_set()


def test_an_interrupt_before_the_writer_is_woken_is_made_good(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    monkeypatch.setattr(recorder, "_start", interrupted(recorder._start, before=True))
    with pytest.raises(KeyboardInterrupt):
        recorder.put_all([a_job()])
    recorder.intake.mend()
    recorder.settle(60)
    assert stored(database_url) == 1


def test_after_an_interrupted_write_a_spool_file_says_again_what_events_share(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "kernel")
    first, second = (a_job()._replace(shared='"source":"long"') for _ in range(2))
    spool._open()
    write = spool._write
    spool._write = interrupted(write, before=True)  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        spool.append([first], 1)
    spool.append([second], 2)
    spool.close(is_empty=False)
    assert read_segment(spool.path) == ([second], 0)


def stored(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM jobs").fetchone()
    assert row is not None
    return int(row[0])


# -- code that Python runs in the midst of other code


class Sleeper:
    """An object in a cycle, whose destructor runs whenever Python collects garbage."""

    def __init__(self, destroyed: Callable[[], object]) -> None:
        self.me, self.destroyed = self, destroyed

    def __del__(self) -> None:
        self.destroyed()


@pytest.fixture
def frequent_collections() -> Iterator[None]:
    threshold = gc.get_threshold()
    gc.set_threshold(10)
    yield
    gc.set_threshold(*threshold)


@pytest.mark.usefixtures("client", "frequent_collections")
def test_a_destructor_may_submit_a_job_in_the_midst_of_a_submit() -> None:
    handles: list[jobnb.JobHandle[int]] = []
    assert jobnb.submit(int).result(20) == 0
    for _ in range(1000):
        Sleeper(lambda: handles.append(jobnb.submit(int)))
        handles.append(jobnb.submit(int))
    # a collection that another thread has begun is that thread's to end
    until(lambda: gc.collect() >= 0 and len(handles) == 2000)
    assert {handle.result(20) for handle in handles} == {0}


@pytest.mark.usefixtures("frequent_collections")
def test_a_destructor_may_print_in_the_midst_of_a_print() -> None:
    log, printed = JobLog(100_000), list[None]()
    for number in range(1000):
        Sleeper(lambda: printed.append(log.write("stderr", "destroyed\n")))
        log.write("stdout", f"{number}\n" * 20)
    gc.collect()
    until(lambda: len(printed) == 1000, why="destructors did not print")
    lines = log.close()
    assert sorted(line.n for line in lines) == list(range(1, 21_001))


# -- many threads


@pytest.mark.usefixtures("client")
def test_tidying_up_forgets_no_job_that_another_thread_adds_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    from jobnb.calls import look_up
    from jobnb.options import PLAIN

    work = make_work(look_up(int), PLAIN, None, default_service().runtime.kernel_id)
    new = accept(work, int, (), {}, threading.local)[0]  # type: ignore[arg-type] # never run
    executions = Executions()

    class Meanwhile(dict[str, Any]):
        def items(self) -> Any:
            found = list(super().items())
            monkeypatch.undo()
            executions.add(new)
            return found

    executions._known = Meanwhile()
    executions._tidy()
    assert executions.find(new.job_id) is new


def test_a_destructor_that_asks_during_the_first_connect_is_answered_not_stuck(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    database, answers = Database(settings), []
    check = schema.check

    def in_the_midst(found: int) -> bool:
        with pytest.raises(jobnb.DatabaseUnavailable, match="by this very thread"):
            database.run(queries.count_by_state)
        answers.append(found)
        return check(found)

    monkeypatch.setattr(schema, "check", in_the_midst)
    asking = threading.Thread(target=database.run, args=(queries.count_by_state,), daemon=True)
    asking.start()
    asking.join(20)

    assert not asking.is_alive()
    assert len(answers) == 1
    assert database.run(queries.count_by_state) == {}
    database.close()


# -- the jobs of a map


def mapped_jobs(count: int) -> MappedJobs:
    from jobnb.calls import look_up
    from jobnb.options import PLAIN

    return MappedJobs(make_work(look_up(int), PLAIN, None, "kernel"), int, [()] * count, 0.0, Context(), None)


def end(execution: Execution) -> None:
    execution.started = execution.finished = 1.0
    execution.end_again(0, 0.5)


def test_the_end_of_a_job_of_a_map_that_an_interrupt_has_told_twice_counts_once() -> None:
    mapped = mapped_jobs(3)
    first, second, third = (mapped.next() for _ in range(3))
    assert first is not None
    assert second is not None
    assert third is not None
    for execution in (first, second, first, second):
        end(execution)
        assert not mapped.ended(execution)
    kept = mapped.execution(0)
    mapped.ended(first)
    assert mapped.execution(0) is kept
    assert not mapped.over.is_set()
    end(third)
    assert mapped.ended(third)
    assert mapped.ended(third)
    assert mapped.over.is_set()


@pytest.mark.usefixtures("client")
def test_lines_that_a_sweep_has_just_taken_are_in_the_log() -> None:
    printed, taken, go_on, handed = (threading.Event() for _ in range(4))

    def speak() -> None:
        print("one")
        printed.set()
        go_on.wait(20)

    runtime = default_service().runtime
    sweep = runtime._sweep

    def slow_sweep() -> object:
        is_time = printed.is_set()
        events = sweep()
        if is_time and not taken.is_set():
            taken.set()
            handed.wait(20)
        return events

    runtime._sweep = slow_sweep  # the caretaker's
    runtime.recorder._sweep = lambda: sweep() if taken.is_set() else []
    try:
        job = jobnb.submit(speak)
        assert taken.wait(20)
        go_on.set()
        job.result(20)
        assert [line.line for line in job.logs()] == ["one"]
    finally:
        handed.set()


@pytest.mark.usefixtures("client")
def test_a_destructor_may_submit_a_job_in_the_midst_of_the_first_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    handles: list[jobnb.JobHandle[int]] = []
    check = schema.check

    def in_the_midst(found: int) -> bool:
        handles.append(jobnb.submit(len, "ab"))
        return check(found)

    monkeypatch.setattr(schema, "check", in_the_midst)
    submitting = threading.Thread(target=lambda: handles.append(jobnb.submit(len, "abc")), daemon=True)
    submitting.start()
    submitting.join(20)

    assert not submitting.is_alive()
    assert [handle.result(20) for handle in handles] == [2, 3]
    assert {handle.refresh().status for handle in handles} == {jobnb.JobStatus.DONE}


@pytest.mark.usefixtures("client")
def test_a_second_interrupt_while_the_first_one_calls_a_map_off_leaves_no_job_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    jobnb.submit(int).result(20)
    runtime = default_service().runtime
    cancel, calls = runtime.runner.cancel_queued, list[Execution]()

    def cancel_queued(execution: Execution) -> None:
        calls.append(execution)
        if len(calls) == 100:
            raise KeyboardInterrupt
        cancel(execution)

    monkeypatch.setattr(runtime.runner, "cancel_queued", cancel_queued)
    monkeypatch.setattr(runtime.threads, "add", interrupted(runtime.threads.add, before=True))
    with pytest.raises(KeyboardInterrupt):
        jobnb.map(int, range(300))
    until(lambda: not runtime.executions.are_active)
    until(lambda: [job.state for job in jobnb.jobs(limit=1000)].count("cancelled") == 300)


MAPS_INTERRUPTED = f"""{INTERRUPTS}
chance, groups, interrupts, end = random.Random(1), [], 0, time.monotonic() + 1.5
while time.monotonic() < end:
    try:
        # again and again: one that comes in a destructor is ignored
        signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.001, 0.012), 0.1)
        while True:
            groups.append(jobnb.map(work, range(chance.choice([1, 5, 50, 300]))))
            chance.choice([groups[-1].wait, groups[-1].results, groups[-1].counts, lambda: jobnb.submit(work, 3)])()
    except KeyboardInterrupt:
        interrupts += 1
        signal.setitimer(signal.ITIMER_REAL, 0)
{ALL_END}
for group in groups:
    assert group.wait(1)
    assert all(handle.wait(1) for handle in group)
    assert group.results(1) == list(range(len(group)))
runtime.recorder.settle(20)
assert jobnb.jobs(status="scheduled") == jobnb.jobs(status="in_progress") == []
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no SIGALRM")
@pytest.mark.usefixtures("client")
def test_maps_between_interrupts_all_end_and_none_is_said_to_be_over_before(tmp_path: Path) -> None:
    run(MAPS_INTERRUPTED, tmp_path)


def test_a_job_of_a_map_that_ends_while_its_handle_is_made_has_ended_for_the_handle_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mapped = mapped_jobs(1)
    new = mapped._new

    def meanwhile(index: int) -> Execution:
        execution = new(index)
        monkeypatch.undo()
        turn = mapped.next()
        assert turn is not None
        end(turn)
        assert mapped.ended(turn)
        return execution

    monkeypatch.setattr(mapped, "_new", meanwhile)
    execution = mapped.execution(0)
    assert execution.wait(0)
    assert (execution.value, execution.started, execution.duration) == (0, 1.0, 0.5)
    assert mapped.execution(0) is execution
    assert list(mapped.unfinished()) == []
