"""Jobs whose exceptions, callables, log calls and callbacks are odd: each ends, and tells what its own code did."""

from __future__ import annotations

import contextvars
import dataclasses
import gc
import logging
import os
import pickle
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any
from unittest import mock
from uuid import uuid4

import psycopg
import pytest
from waiting import until

import jobnb
from jobnb.calls import look_up
from jobnb.options import PLAIN
from jobnb.tracking.work import accept, make_work

pytestmark = pytest.mark.usefixtures("client")


@dataclasses.dataclass(frozen=True)
class FrozenError(Exception):
    """An exception that takes no attributes, not even a traceback."""

    code: int


class EvasiveError(Exception):
    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"no {name} here")


def fail(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize("error", [FrozenError(3), EvasiveError("hidden")], ids=["frozen", "evasive"])
def test_an_exception_that_refuses_attributes_is_raised_as_it_is(error: Exception) -> None:
    handle = jobnb.submit(fail, error)
    for _ in range(2):
        with pytest.raises(type(error)) as caught:
            handle.result(10)
        assert caught.value is error
    assert handle.refresh().error_kind == "error"


def test_each_job_shows_its_own_traceback_of_an_exception_that_they_share() -> None:
    error = ValueError("shared")

    def other_place() -> None:
        raise error

    places = []
    for fn in (lambda: fail(error), other_place):
        with pytest.raises(ValueError, match="shared") as caught:
            jobnb.submit(fn).result(10)
        places.append([entry.name for entry in caught.traceback if entry.name in ("fail", "other_place")])
    assert places[0][-1:] == ["fail"]
    assert places[1][:1] == ["other_place"]


def test_a_log_call_whose_arguments_do_not_fit_is_kept_as_it_is_and_fails_no_job() -> None:
    logger = logging.getLogger("odd")
    logger.propagate = False  # pytest's own handler raises where those of programs report

    def log() -> str:
        logger.error("%d of %d", *[1])
        return "went on"

    logger.addHandler(logging.NullHandler())
    handle = jobnb.submit(log)
    assert handle.result(10) == "went on"
    assert "ERROR odd: (can't be formatted: TypeError) '%d of %d'" in str(handle.logs())


class Evasive:
    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"no {name} here")

    def __call__(self) -> int:
        return 3


@pytest.mark.parametrize("make", [Evasive, lambda: mock.Mock(return_value=3), lambda: mock.AsyncMock(return_value=3)])
def test_a_callable_that_answers_oddly_when_looked_at_is_called_all_the_same(make: Any) -> None:
    assert jobnb.submit(make()).result(10) == 3


@pytest.mark.parametrize("error", [SystemExit(1), GeneratorExit(), KeyboardInterrupt(), ValueError("x")])
def test_a_callback_that_raises_keeps_no_other_from_being_called(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    go_on, called = threading.Event(), threading.Event()
    handle = jobnb.submit(go_on.wait, 10)
    handle.add_done_callback(lambda _: fail(error))
    handle.add_done_callback(lambda _: called.set())
    go_on.set()
    assert called.wait(10)
    assert "a done callback" in caplog.text
    assert jobnb.submit(int).result(10) == 0


def test_a_job_that_waits_for_one_which_finds_no_thread_is_told_why(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobnb.handle.NO_THREAD_AFTER", 0.05)
    jobnb.configure(max_workers=1)
    outer = jobnb.submit(lambda: jobnb.submit(int).result(1))
    with pytest.raises(jobnb.WaitTimeout):
        outer.result(10)
    assert "has not started, because jobs have taken all threads" in caplog.text
    assert "max_workers" in str(outer.logs())


def test_a_job_that_waits_for_a_map_in_a_full_pool_hears_why_it_may_wait_for_ever(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobnb.handle.NO_THREAD_AFTER", 0.05)
    jobnb.configure(max_workers=1)
    outer = jobnb.submit(lambda: jobnb.map(int, range(5)).wait(1))
    assert not outer.result(10)
    assert "has not started, because jobs have taken all threads" in caplog.text


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_reads_the_end_of_its_parents_job_from_the_row() -> None:
    go_on = threading.Event()

    def wait() -> str:
        go_on.wait(20)
        return "from the parent"

    handle = jobnb.submit(wait)
    answers = answers_of_a_child(lambda: handle.result(20))
    go_on.set()
    assert answers() == "from the parent"


def answers_of_a_child(ask: Callable[[], str]) -> Callable[[], str]:
    """Run `ask` in a forked child; the function returned waits for what it says."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            answer = ask()
        except BaseException as error:
            answer = repr(error)
        os.write(writing, answer.encode())
        os._exit(0)
    os.close(writing)

    def answers() -> str:
        with os.fdopen(reading) as pipe:
            answer = pipe.read()
        os.waitpid(child, 0)
        return answer

    return answers


@pytest.mark.parametrize(
    "error",
    [
        jobnb.JobFailed(uuid4(), "message", "traceback"),
        jobnb.JobTimeout(uuid4(), "message"),
        jobnb.JobNotFound(uuid4()),
        jobnb.AmbiguousJobId("abcd", [uuid4()]),
        jobnb.InvalidTransition(uuid4(), "done", "failed"),
        jobnb.InvalidInput("words", "argument"),
        jobnb.ResultNotStored(uuid4(), "reason", "preview"),
        jobnb.DatabaseUnavailable("words", "08006"),
        jobnb.StopRequested("timeout"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_survives_pickling(error: BaseException) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


def test_pickling_a_handle_says_what_to_pass_instead() -> None:
    handle = jobnb.submit(int)
    with pytest.raises(TypeError, match=rf"pass job\.job_id \({handle.job_id}\), and use jobnb\.get"):
        pickle.dumps(handle)


def test_a_long_log_is_given_whole(client: str) -> None:
    handle = jobnb.submit(int)
    assert handle.result(10) == 0
    handle.refresh()
    with psycopg.connect(client) as connection:
        connection.execute(
            "INSERT INTO job_logs (job_id, n, at, stream, line) "
            "SELECT %s, n, now(), 'stdout', 'line' FROM generate_series(1, 100001) AS n",
            [handle.job_id],
        )
    assert len(handle.logs()) == 100_001


class Big:
    """Something whose end can be seen."""


def test_a_failed_job_that_nobody_holds_keeps_its_call_and_not_its_variables() -> None:
    seen: list[weakref.ref[Big]] = []
    calls = []

    def fail() -> None:
        big = Big()
        seen.append(weakref.ref(big))
        calls.append(1)
        raise ValueError("on purpose")

    job = jobnb.submit(fail)
    assert isinstance(job.exception(20), ValueError)
    job_id = job.job_id
    del job
    until(lambda: gc.collect() >= 0 and seen[0]() is None, why="its variables are kept")
    again = jobnb.get(job_id).retry()
    assert again.wait(20)
    assert len(calls) == 2


def test_values_of_a_map_that_nobody_holds_are_given_up() -> None:
    seen: list[weakref.ref[Big]] = []

    def make(number: int) -> Big:
        big = Big()
        seen.append(weakref.ref(big))
        return big

    group = jobnb.map(make, range(200))
    assert len({id(value) for value in group.results(20)}) == 200
    del group
    until(lambda: gc.collect() >= 0 and not any(one() for one in seen), why="its values are kept")


def test_executors_of_other_processes_are_refused_before_a_row_is_written() -> None:
    with ProcessPoolExecutor(1) as executor, pytest.raises(jobnb.ConfigurationError, match="ProcessPoolExecutor"):
        jobnb.submit(int, executor=executor)
    assert jobnb.jobs() == []


def test_a_start_that_a_spool_keeps_says_nothing_of_progress() -> None:
    work = make_work(look_up(int), PLAIN, None, "00000000-0000-0000-0000-000000000001")
    execution, _ = accept(work, int, (), {}, contextvars.copy_context())
    execution.status, execution.fraction = "in_progress", 0.25
    start, progress = execution.events()
    assert "progress" not in start.members.replace("in_progress", "")
    assert '"progress":0.25' in progress.members
