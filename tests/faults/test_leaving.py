"""Leaving: scripts, interpreters, services. Never longer than said, never a queued job more, and the rows are true."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import audit
import psycopg
import pytest
from chaos_proxy import ChaosProxy, Mode
from children import CHECKOUT, Child
from private_server import PrivateServer, children_of
from waiting import in_time, not_slow, until

import jobnb
from jobnb.db.embedded import EmbeddedServer

Start = Callable[..., Child]

GRACE = 2.0
"""What JOBNB_EXIT_GRACE is by default."""
BUSY = 5.0
"""Seconds that a busy machine adds to ending a Python process."""

LEAVING = """
import os, sys, threading, time, jobnb, jobnb.api
jobnb.configure(max_workers=2)
def work(number):
    return number
def endless():
    threading.Event().wait()
def queued():
    os.write(2, b"A QUEUED JOB RAN")
jobnb.map(work, range(10)).results(30)
running = [jobnb.submit(endless, name="running") for _ in range(2)]
waiting = [jobnb.submit(queued, name="queued") for _ in range(20)]
while not all(one.running() for one in running):
    pass
jobnb.api.default_service().runtime.recorder.settle(60)
print("ready", flush=True)
sys.stdin.readline()
"""

ENDS = {
    "the end of the script": ("", 0),
    "sys.exit": ("sys.exit(3)", 3),
    "an exception": ("raise RuntimeError('the script failed')", 1),
    "an exception in a thread": ("threading.Thread(target=lambda: 1 / 0).start()", 0),
}


def by_name(url: str) -> Counter[tuple[str, str, str | None]]:
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT name, status::text, error_kind FROM jobs").fetchall()
    return Counter((row[0], row[1], row[2]) for row in rows)


TRUE_ROWS = {("work", "done", None): 10, ("running", "failed", "lost"): 2, ("queued", "failed", "cancelled"): 20}


@pytest.mark.parametrize(("last_line", "code"), ENDS.values(), ids=ENDS.keys())
def test_a_script_that_ends_waits_for_the_grace_only_and_leaves_true_rows(
    last_line: str, code: int, direct_url: str, home: Path, child: Start
) -> None:
    script = child(LEAVING + last_line, JOBNB_HOME=str(home), DATABASE_URL=direct_url)
    assert script.line() == "ready"
    script.tell()
    began = time.monotonic()
    script.end(code=code)
    assert time.monotonic() - began > GRACE * 0.9
    in_time(began, GRACE + BUSY)
    assert by_name(direct_url) == TRUE_ROWS
    said = script.errors.read_text()
    assert "A QUEUED JOB RAN" not in said
    assert said.count("still running when the process ended") == 2
    assert audit.report(direct_url).is_clean


@pytest.mark.parametrize("mode", [Mode.REFUSE, Mode.BLACK_HOLE])
def test_a_script_that_ends_while_the_database_is_away_leaves_the_rest_to_the_next_one(
    mode: Mode, private_server: PrivateServer, audited: str, proxy: ChaosProxy, home: Path, child: Start,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    url = private_server.url(audited, port=proxy.port)
    script = child(LEAVING, JOBNB_HOME=str(home), DATABASE_URL=url)
    assert script.line() == "ready"
    proxy.mode = mode
    if mode is Mode.REFUSE:
        proxy.cut()
    script.tell()
    began = time.monotonic()
    script.end()
    in_time(began, 2 * GRACE + 1.5 + BUSY)  # for the jobs, for the database, for the last threads
    proxy.cut()
    proxy.mode = Mode.PASS
    monkeypatch.setenv("DATABASE_URL", url)
    jobnb.configure()
    jobnb.jobs()
    assert by_name(private_server.url(audited)) == TRUE_ROWS
    assert audit.report(private_server.url(audited)).is_clean


LATE = {
    "an atexit function": "atexit.register(submit_late)",
    "a thread that goes on": "threading.Thread(target=lambda: (main_ended(), submit_late())).start()",
    "a thread that never stops submitting": "threading.Thread(target=submit_for_ever).start()",
    "an atexit function, the first use of jobnb": "atexit.register(submit_late); first = 0",
    "a thread that goes on, the first use of jobnb": "threading.Thread(target=lambda: (main_ended(), submit_late())).start(); first = 0",
}


@pytest.mark.parametrize("late", LATE.values(), ids=LATE.keys())
def test_a_job_that_comes_while_the_interpreter_leaves_is_refused_and_never_lost(
    late: str, direct_url: str, home: Path, child: Start
) -> None:
    script = child(
        f"""
import atexit, concurrent.futures.thread, threading, jobnb
first = 1
def main_ended():
    threading.main_thread().join()
def submit_late():
    try:
        jobnb.submit(len, "late")
    except jobnb.ServiceClosed as error:
        print("refused:", error, flush=True)
    try:
        print(len(jobnb.jobs()), "jobs", flush=True)
    except BaseException as error:
        print(repr(error), flush=True)
def submit_for_ever():
    while True:
        try:
            jobnb.submit(len, "ever").result()
        except jobnb.JobCancelled:
            pass  # taken, and called off at once
        except jobnb.ServiceClosed as error:
            print("refused:", error, flush=True)
            break
    print(len(jobnb.jobs()), "jobs", flush=True)
{late}
if first:
    jobnb.submit(len, "early").result()
""",
        JOBNB_HOME=str(home),
        DATABASE_URL=direct_url,
    )
    assert script.line().startswith("refused: ")
    told = script.line()
    script.end()
    with psycopg.connect(direct_url) as connection:
        rows = connection.execute("SELECT status::text, count(*) FROM jobs GROUP BY status").fetchall()
    assert {status for status, _ in rows} <= {"done", "failed"}
    # reads still work; what the process is just storing may be missing there
    assert int(told.removesuffix(" jobs")) <= sum(count for _, count in rows)


EMBEDDED = """
import sys, jobnb, jobnb.api
job = jobnb.submit(int, 1)
job.result()
job.refresh()
print(jobnb.api.default_service().runtime.database.embedded.status().pid, flush=True)
sys.stdin.readline()
jobnb.submit(int, 2).result()
"""


def test_a_script_that_ends_while_its_embedded_server_is_frozen_does_not_wait_for_it(home: Path, child: Start) -> None:
    script = child(EMBEDDED, JOBNB_HOME=str(home))
    server = int(script.line())
    frozen = [server, *children_of(server)]
    try:
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        script.tell()
        began = time.monotonic()
        script.end()
        in_time(began, 2 * GRACE + 1.5 + BUSY)
    finally:
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
    jobnb.configure()
    assert [job.state for job in jobnb.jobs()] == ["done", "done"]
    jobnb.api.default_service().runtime.close()  # type: ignore[attr-defined]
    shutil.rmtree(EmbeddedServer(home).status().data.parent, ignore_errors=True)


def test_jobs_that_end_within_the_grace_are_done(direct_url: str, home: Path, child: Start) -> None:
    code = "import time, jobnb\njob = jobnb.submit(time.sleep, 0.7)\nwhile not job.running(): pass\n"
    script = child(code, JOBNB_HOME=str(home), DATABASE_URL=direct_url)
    script.end()
    assert [(status, kind) for _, status, kind in by_name(direct_url)] == [("done", None)]


def test_the_grace_can_be_set(direct_url: str, home: Path, child: Start) -> None:
    script = child(LEAVING, JOBNB_HOME=str(home), DATABASE_URL=direct_url, JOBNB_EXIT_GRACE="0")
    assert script.line() == "ready"
    script.tell()
    began = time.monotonic()
    script.end()
    in_time(began, BUSY)


def test_a_script_without_jobs_ends_at_once(direct_url: str, home: Path, child: Start) -> None:
    code = "import jobnb, time\njobnb.submit(int).result()\nprint('ready', flush=True)\n"
    script = child(code, JOBNB_HOME=str(home), DATABASE_URL=direct_url)
    assert script.line() == "ready"
    began = time.monotonic()
    script.end()
    in_time(began, BUSY)
    assert [status for _, status, _ in by_name(direct_url)] == ["done"]


def test_an_interrupt_ends_a_script_like_any_other_exception(direct_url: str, home: Path, child: Start) -> None:
    script = child(LEAVING + "running[0].result()", JOBNB_HOME=str(home), DATABASE_URL=direct_url)
    assert script.line() == "ready"
    script.tell()
    until(lambda: "S" in Path(f"/proc/{script.process.pid}/stat").read_text())
    time.sleep(0.2)
    script.signal(signal.SIGINT)
    script.process.communicate(timeout=60)
    assert script.process.returncode == -signal.SIGINT or script.process.returncode == 1
    assert "stopped waiting" in script.errors.read_text()
    assert by_name(direct_url) == TRUE_ROWS


def test_a_terminated_process_is_a_dead_one(connected: str, home: Path, child: Start) -> None:
    script = child(LEAVING, JOBNB_HOME=str(home), DATABASE_URL=connected)
    assert script.line() == "ready"
    script.signal(signal.SIGTERM)
    script.process.wait(5)
    jobnb.jobs()
    assert by_name(connected) == {
        ("work", "done", None): 10, ("running", "failed", "lost"): 2, ("queued", "failed", "lost"): 20,
    }  # fmt: skip


def test_two_runtimes_of_one_script_share_the_grace(direct_url: str, home: Path, child: Start) -> None:
    code = """
import threading, jobnb
for workers in (1, 2, 3):
    jobnb.configure(max_workers=workers)
    job = jobnb.submit(threading.Event().wait)
    while not job.running(): pass
print("ready", flush=True)
"""
    script = child(code, JOBNB_HOME=str(home), DATABASE_URL=direct_url)
    assert script.line() == "ready"
    began = time.monotonic()
    script.end()
    in_time(began, GRACE + BUSY)
    assert audit.report(direct_url)[:4] == (3, 0, 0, 3)


def test_a_run_of_pytest_ends(direct_url: str, home: Path, tmp_path: Path) -> None:
    (tmp_path / "test_user.py").write_text(
        "import threading, jobnb\n"
        "def test_job():\n    assert jobnb.submit(int, '7').result() == 7\n"
        "def test_forgotten():\n    jobnb.submit(threading.Event().wait)\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", str(tmp_path / "test_user.py")]
    variables = {
        **os.environ, "DATABASE_URL": direct_url, "PYTHONPATH": str(CHECKOUT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }  # fmt: skip
    began = time.monotonic()
    done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=60, check=False)
    assert "2 passed" in done.stdout
    in_time(began, GRACE + 3 + BUSY)
    assert audit.report(direct_url)[:4] == (2, 1, 0, 1)


# -- forks


FORKING = """
import os, sys, jobnb, jobnb.api
before = jobnb.submit(int, 1)
before.result()
child = os.fork()
if child == 0:
    try:
        jobnb.api.default_service()._runtime_used.recorder.put(None)
    except jobnb.ServiceClosed as error:
        os.write(1, f"{error}\\n".encode())
    {in_child}
    sys.exit(0)
after = jobnb.submit(int, 2)
assert after.result() == 2
_, status = os.waitpid(child, 0)
assert status == 0, status
assert jobnb.submit(int, 3).result() == 3
print([job.status.value for job in jobnb.jobs(search="int")], flush=True)
"""


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("in_child", "rows"),
    [("pass", 3), ("assert jobnb.submit(int, 4).result() == 4", 4)],
    ids=["a child that does nothing", "a child that uses jobnb itself"],
)
def test_a_forked_child_writes_nothing_for_its_parent_and_disturbs_it_not(
    in_child: str, rows: int, direct_url: str, home: Path, child: Start
) -> None:
    script = child(FORKING.replace("{in_child}", in_child), JOBNB_HOME=str(home), DATABASE_URL=direct_url)
    assert "forked" in script.line()
    assert script.line() == str(["done"] * rows)
    script.end()
    report = audit.report(direct_url)
    assert (report.is_clean, report.rows, report.done) == (True, rows, rows), report


def test_a_fork_while_jobs_pour_in_does_not_hang_the_child(direct_url: str, home: Path, child: Start) -> None:
    code = """
import multiprocessing, time, jobnb
def square(number): return number * number
group = jobnb.map(lambda number: time.sleep(0.001), range(1500))
context = multiprocessing.get_context("fork")
for _ in range(5):
    with context.Pool(2) as pool:
        assert pool.map(square, range(10)) == [n * n for n in range(10)]
group.wait(30)
print(group.counts(), flush=True)
"""
    script = child(code, JOBNB_HOME=str(home), DATABASE_URL=direct_url)
    assert script.line() == "{'done': 1500}"
    script.end()
    report = audit.report(direct_url)
    assert (report.is_clean, report.done) == (True, 1500), report


# -- closing a service


def test_closing_a_service_waits_for_the_grace_and_says_the_truth_about_what_still_runs(connected: str) -> None:
    release = threading.Event()
    service = jobnb.SyncJobService()
    running = service.submit(release.wait, name="running")
    until(running.running)
    blocker = [service.submit(release.wait) for _ in range(service.settings.max_workers - 1)]
    queued = service.submit(int, name="queued")
    began = time.monotonic()
    service.close(grace=0.3)
    assert time.monotonic() - began > 0.25
    in_time(began, 1.5)
    with pytest.raises(jobnb.ServiceClosed):
        service.submit(int)
    assert queued.job.error_message == "cancelled before it started"
    until(lambda: by_name(connected)["running", "in_progress", None])  # it does run
    release.set()
    for job in [running, *blocker]:
        job.wait(5)
    until(lambda: by_name(connected)["running", "done", None])
    assert service.close() is None  # a second time


async def test_closing_an_async_service_does_not_block_the_loop(connected: str) -> None:
    release = threading.Event()
    service = jobnb.JobService()
    job = await service.create_job(jobnb.JobCreate(job_type="x"))
    future = await asyncio.to_thread(service.run_job_async, job.job_id, release.wait)
    closing = asyncio.ensure_future(service.close(grace=0.5))
    longest, began = 0.0, time.monotonic()
    while not closing.done():
        tick = time.perf_counter()
        await asyncio.sleep(0.005)
        longest = max(longest, time.perf_counter() - tick)
    assert time.monotonic() - began > 0.4
    in_time(began, 2)
    not_slow(longest, 0.25)
    release.set()
    assert await asyncio.wrap_future(future) is True
    until(lambda: audit.report(connected).done == 1)


def test_closing_while_the_writer_waits_for_a_dead_connection_frees_nothing_under_it(
    through_proxy: str, proxy: ChaosProxy
) -> None:
    service = jobnb.SyncJobService()
    runtime = service.runtime
    assert service.submit(int, 1).result() == 1
    runtime.recorder.settle(60)
    proxy.mode = Mode.BLACK_HOLE
    assert service.submit(int, 2).result() == 2
    until(lambda: runtime.database._writing.in_use)
    (writer,) = [thread for thread in threading.enumerate() if thread is runtime.recorder._thread]
    runtime.close()
    writer.join(2)  # far less than the deadline of its statement: its own connection was cut, and it closed it itself
    assert not writer.is_alive()
    connection = runtime.database._writing._connection
    assert connection is not None
    assert connection.closed


def test_closing_a_service_during_an_outage_ends_within_its_grace(through_proxy: str, proxy: ChaosProxy) -> None:
    service = jobnb.SyncJobService()
    assert service.submit(int, 1).result() == 1
    proxy.mode = Mode.BLACK_HOLE
    job = service.submit(int, 2)
    assert job.result() == 2
    began = time.monotonic()
    service.close(grace=0.5)
    in_time(began, 0.5 + 2 * GRACE + BUSY)
    proxy.cut()
    proxy.mode = Mode.PASS
    jobnb.jobs()
    until(lambda: audit.report(through_proxy).done == 2)
