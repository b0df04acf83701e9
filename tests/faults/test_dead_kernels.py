"""Processes that die, sleep or lose their network: what their jobs' rows say, and when."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import audit
import psycopg
import pytest
from chaos_proxy import ChaosProxy, Mode
from children import CHECKOUT, Child
from private_server import PrivateServer
from waiting import in_time, until

import jobnb
from jobnb.api import default_service
from jobnb.observer import Observer
from jobnb.recorder import liveness
from jobnb.recorder.liveness import KernelLock
from jobnb.recorder.spool import spooled_kernels
from jobnb.settings import Settings
from monitor.postgres import PostgresSource

Start = Callable[..., Child]

WORKER = """
import ctypes, os, sys, threading, jobnb
jobnb.configure(max_workers=2)
release = threading.Event()
def work(number):
    os.write(1, b"ran\\n") if number == 0 else None
    return number
def slow():
    jobnb.progress(0.5, "half way")
    release.wait()
    return "late"
jobnb.map(work, range(20)).results(30)
running = [jobnb.submit(slow, name="running") for _ in range(2)]
queued = [jobnb.submit(work, 100 + n, name="queued") for n in range(3)]
while not all(one.running() for one in running):
    pass
jobnb.api.default_service().runtime.recorder.settle(60)
print("ready", flush=True)
for line in sys.stdin:
    match line.strip():
        case "exit": os._exit(7)
        case "crash": ctypes.string_at(0)
        case "release":
            release.set()
            print([one.result() for one in running], flush=True)
            jobnb.api.default_service().runtime.recorder.settle(60)
            print("stored", flush=True)
"""


def states(url: str) -> Counter[tuple[str, str | None]]:
    with psycopg.connect(url) as connection:
        query = "SELECT status::text, error_kind FROM jobs WHERE job_type <> 'watcher'"
        rows = connection.execute(query).fetchall()
    return Counter((row[0], row[1]) for row in rows)


def is_clean(url: str) -> bool:
    """Every job went one way to one end; the watcher is still at it."""
    report = audit.report(url)
    return (report.unfinished, report.backward, report.doubled) == (1, 0, 0)


def start_worker(child: Start, **variables: str) -> Child:
    worker = child(WORKER, **variables)
    assert [worker.line(), worker.line()] == ["ran", "ready"]
    return worker


AFTER_DEATH = {("done", None): 20, ("failed", "lost"): 5}
WHILE_ALIVE = {("done", None): 20, ("in_progress", None): 2, ("scheduled", None): 3}
AFTER_ALL = {("done", None): 25}


@pytest.mark.parametrize("how", ["kill -9", "exit", "crash"])
def test_a_process_that_runs_notices_within_a_second_that_another_one_died(
    how: str, connected: str, home: Path, child: Start
) -> None:
    default_service().runtime.open()
    worker = start_worker(child, JOBNB_HOME=str(home), DATABASE_URL=connected)
    assert states(connected) == WHILE_ALIVE
    worker.kill() if how == "kill -9" else worker.tell(how)
    worker.process.wait(20)
    died = time.monotonic()
    until(lambda: states(connected) == AFTER_DEATH)
    in_time(died, 2.5)  # a second, and what a busy machine adds
    with psycopg.connect(connected) as connection:
        query = "SELECT DISTINCT error_message, finished_at IS NOT NULL FROM jobs WHERE error_kind = 'lost'"
        (said,) = connection.execute(query).fetchall()
    assert f"process {worker.process.pid} on " in said[0]
    assert "last sign of life" in said[0]
    assert said[1] is True
    until(lambda: liveness.locked_kernels(home) == [default_service().runtime.kernel_id])
    assert audit.report(connected).backward == audit.report(connected).doubled == 0


@pytest.mark.parametrize(
    "command",
    [
        [sys.executable, "-m", "jobnb", "list", "--json"],
        [sys.executable, "-c", "import jobnb, json; print(jobnb.jobs()[0].model_dump_json())"],
        [sys.executable, "-m", "monitor", "--once"],
    ],
    ids=["command line", "jobs()", "monitor --once"],
)
def test_who_only_looks_sees_at_once_that_a_process_died(
    command: list[str], connected: str, home: Path, child: Start
) -> None:
    start_worker(child, JOBNB_HOME=str(home), DATABASE_URL=connected).kill()
    done = subprocess.run(command, capture_output=True, text=True, cwd=CHECKOUT, check=False)
    assert "lost" in done.stdout
    assert "in_progress" not in done.stdout
    assert states(connected) == AFTER_DEATH
    assert "marked as lost" in done.stderr


def test_a_monitor_that_runs_notices_within_a_second(connected: str, home: Path, child: Start) -> None:
    source = PostgresSource(Settings.load())
    try:
        worker = start_worker(child, JOBNB_HOME=str(home), DATABASE_URL=connected)
        assert source.overview().counts["in_progress"].value == 2
        worker.kill()
        died = time.monotonic()
        until(lambda: source.overview() and states(connected) == AFTER_DEATH)
        in_time(died, 2.5)
    finally:
        source.close()


def test_a_read_only_monitor_changes_nothing(connected: str, home: Path, child: Start) -> None:
    start_worker(child, JOBNB_HOME=str(home), DATABASE_URL=connected).kill()
    command = [sys.executable, "-m", "monitor", "--once", "--read-only"]
    subprocess.run(command, capture_output=True, text=True, cwd=CHECKOUT, check=False)
    assert states(connected) == WHILE_ALIVE


def test_what_a_killed_process_had_not_stored_yet_is_stored(
    connected: str, home: Path, child: Start, private_server: PrivateServer, proxy: ChaosProxy, audited: str
) -> None:
    worker = child(WORKER, JOBNB_HOME=str(home), DATABASE_URL=private_server.url(audited, port=proxy.port))
    assert [worker.line(), worker.line()] == ["ran", "ready"]
    proxy.mode = Mode.REFUSE
    proxy.cut()
    worker.tell("release")
    assert worker.line() == "['late', 'late']"
    worker.kill()
    assert states(connected) == WHILE_ALIVE
    proxy.mode = Mode.PASS
    # the same database by another road is another spool: whoever uses the same road finds it
    jobnb.configure(database_url=private_server.url(audited, port=proxy.port))
    assert {str(job.state) for job in jobnb.jobs(limit=5)} <= {"done"}
    assert states(connected) in (AFTER_ALL, {("done", None): 22, ("failed", "lost"): 3})
    assert audit.report(connected).is_clean


def test_six_processes_that_start_on_one_orphaned_spool_store_it_once(
    connected: str, home: Path, child: Start, private_server: PrivateServer
) -> None:
    worker = start_worker(child, JOBNB_HOME=str(home), DATABASE_URL=connected)
    with psycopg.connect(connected) as connection:
        connection.execute("LOCK TABLE jobs IN EXCLUSIVE MODE")  # nothing is stored, everything is in the spool
        worker.tell("release")
        assert worker.line() == "['late', 'late']"
        worker.kill()
    script = "import jobnb, jobnb.api\njobnb.api.default_service().runtime.open()\nprint(len(jobnb.jobs()), flush=True)\ninput()\n"
    starters = [child(script, JOBNB_HOME=str(home), DATABASE_URL=connected) for _ in range(6)]
    assert [starter.line() for starter in starters] == ["25"] * 6
    until(lambda: audit.report(connected).unfinished == 0)
    report = audit.report(connected)
    assert report.is_clean, report
    assert report.rows == 25
    assert report.done >= 22
    key = default_service().runtime.recorder.dead_letters.parent
    until(lambda: not spooled_kernels(key))


# -- asleep is not dead


def test_a_suspended_process_is_not_declared_dead_on_its_own_host(
    connected: str, home: Path, child: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBNB_LEASE", "1")
    jobnb.configure()
    busy = jobnb.submit(time.sleep, 5)  # a process that watches all the time
    worker = start_worker(child, JOBNB_HOME=str(home), DATABASE_URL=connected)
    worker.signal(signal.SIGSTOP)
    assert busy.wait(20)
    assert (("failed", "lost") in states(connected)) is False
    worker.signal(signal.SIGCONT)
    worker.tell("release")
    assert worker.line() == "['late', 'late']"
    until(lambda: states(connected) == {("done", None): 26})
    assert audit.report(connected).is_clean


@pytest.fixture
def elsewhere(connected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """This process watches all the time, as one of another host would: it sees no lock of others. Its lease is 2 s."""
    monkeypatch.setenv("JOBNB_HOME", str(tmp_path / "another-host"))
    monkeypatch.setenv("JOBNB_LEASE", "2")
    jobnb.configure()
    release = threading.Event()
    watcher = jobnb.submit(release.wait, job_type="watcher")
    yield connected
    release.set()
    watcher.result()


def test_the_late_end_of_a_process_that_was_given_up_elsewhere_counts(elsewhere: str, home: Path, child: Start) -> None:
    worker = start_worker(child, JOBNB_HOME=str(home), DATABASE_URL=elsewhere, JOBNB_LEASE="2")
    worker.signal(signal.SIGSTOP)
    until(lambda: states(elsewhere)["failed", "lost"] == 5)
    with psycopg.connect(elsewhere) as connection:
        said = connection.execute("SELECT error_message FROM jobs WHERE error_kind = 'lost' LIMIT 1").fetchone()
    assert "no sign of life" in said[0]
    worker.signal(signal.SIGCONT)
    worker.tell("release")
    assert [worker.line(), worker.line()] == ["['late', 'late']", "stored"]
    until(lambda: states(elsewhere) == AFTER_ALL)
    with psycopg.connect(elsewhere) as connection:
        left = connection.execute("SELECT count(*) FROM jobs WHERE error_message IS NOT NULL").fetchone()
    assert left == (0,)
    assert is_clean(elsewhere)


def test_a_process_without_network_is_given_up_elsewhere_and_tells_its_end_when_it_is_back(
    elsewhere: str, home: Path, child: Start, private_server: PrivateServer, proxy: ChaosProxy, audited: str
) -> None:
    url = private_server.url(audited, port=proxy.port)
    worker = start_worker(child, JOBNB_HOME=str(home), DATABASE_URL=url, JOBNB_LEASE="2")
    proxy.mode = Mode.BLACK_HOLE
    worker.tell("release")
    assert worker.line() == "['late', 'late']"
    until(lambda: states(elsewhere)["failed", "lost"] == 5)
    proxy.cut()
    proxy.mode = Mode.PASS
    assert worker.line() == "stored"
    until(lambda: states(elsewhere) == AFTER_ALL)
    assert is_clean(elsewhere)


def test_an_outage_of_the_server_that_is_longer_than_the_lease_kills_nobody(
    elsewhere: str, home: Path, child: Start, private_server: PrivateServer
) -> None:
    worker = start_worker(child, JOBNB_HOME=str(home), DATABASE_URL=elsewhere, JOBNB_LEASE="2")
    private_server.stop("immediate")
    time.sleep(2.5)
    private_server.start()
    time.sleep(2.5)
    assert states(elsewhere)["failed", "lost"] == 0
    worker.tell("release")
    assert [worker.line(), worker.line()] == ["['late', 'late']", "stored"]
    until(lambda: states(elsewhere) == AFTER_ALL)
    assert is_clean(elsewhere)


def test_a_live_process_elsewhere_is_left_alone(elsewhere: str, home: Path, child: Start) -> None:
    worker = start_worker(child, JOBNB_HOME=str(home), DATABASE_URL=elsewhere, JOBNB_LEASE="2")
    time.sleep(3)
    assert states(elsewhere)["failed", "lost"] == 0
    worker.kill()


# -- who judges whom


def rewrite_note(home: Path, kernel_id: str, **changes: str) -> None:
    path = home / "kernels" / f"{kernel_id}.lock"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def lock_of(home: Path) -> str:
    (kernel_id,) = liveness.locked_kernels(home)
    return kernel_id


def test_a_process_of_an_earlier_boot_is_dead(connected: str, home: Path, child: Start) -> None:
    start_worker(child, JOBNB_HOME=str(home), DATABASE_URL=connected).kill()
    rewrite_note(home, lock_of(home), boot_id=str(uuid4()))
    jobnb.jobs()
    assert states(connected) == AFTER_DEATH


def test_a_process_of_another_host_that_shares_the_home_is_not_judged_by_its_lock(
    connected: str, home: Path, child: Start
) -> None:
    start_worker(child, JOBNB_HOME=str(home), DATABASE_URL=connected).kill()
    rewrite_note(home, lock_of(home), boot_id=str(uuid4()), host="another-host")
    jobnb.jobs()
    assert states(connected) == WHILE_ALIVE


def test_a_dead_process_of_another_database_is_left_to_those_who_use_that(
    connected: str, home: Path, child: Start, private_server: PrivateServer
) -> None:
    private_server.ask("CREATE DATABASE another TEMPLATE audited")
    try:
        start_worker(child, JOBNB_HOME=str(home), DATABASE_URL=private_server.url("another")).kill()
        jobnb.jobs()
        assert len(liveness.locked_kernels(home)) == 1
        with jobnb.SyncJobService(private_server.url("another")) as service:
            assert service.count_jobs("failed") == 5
        assert liveness.locked_kernels(home) == []
    finally:
        private_server.ask("DROP DATABASE another WITH (FORCE)")


def test_two_runtimes_of_one_process_do_not_bury_each_other(connected: str, home: Path) -> None:
    first = jobnb.submit(time.sleep, 3)
    jobnb.configure(max_workers=3)  # another runtime, with another kernel
    second = jobnb.submit(time.sleep, 2)
    first_kernel, second_kernel = first._runtime.kernel_id, second._runtime.kernel_id
    assert first_kernel != second_kernel
    second.result()
    assert first.refresh().error_kind is None
    first.result()
    assert {first.refresh().status, second.refresh().status} == {"done"}
    code = "import sys; from pathlib import Path; from jobnb.recorder import liveness; print([k for k, _ in liveness.dead_kernels(Path(sys.argv[1]))])"
    seen = subprocess.run(
        [sys.executable, "-c", code, str(home)], capture_output=True, text=True, cwd=CHECKOUT, check=True
    )
    assert seen.stdout == "[]\n", "their locks were given away"


def test_a_lock_file_that_somebody_removed_is_made_anew(connected: str, home: Path) -> None:
    job = jobnb.submit(time.sleep, 2)
    path = home / "kernels" / f"{default_service().runtime.kernel_id}.lock"
    path.unlink()
    until(path.exists)
    job.result()


def test_a_lock_that_was_given_away_is_taken_again(connected: str, home: Path) -> None:
    runtime = default_service().runtime
    runtime.open()
    path = home / "kernels" / f"{runtime.kernel_id}.lock"
    path.read_text()  # closes a descriptor of the file: POSIX drops this process's locks on it
    runtime.keep_sign()
    code = "import sys; from pathlib import Path; from jobnb.locks import FileLock; print(FileLock(Path(sys.argv[1])).try_exclusive())"
    seen = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, cwd=CHECKOUT, check=True
    )
    assert seen.stdout == "False\n"


def test_a_lock_is_never_seen_free_while_it_is_made(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from jobnb.recorder import liveness
print("looking", flush=True)
found = set()
while not Path(sys.argv[1], "stop").exists():
    found.update(kernel for kernel, _ in liveness.dead_kernels(Path(sys.argv[1])))
print(sorted(found))
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=CHECKOUT
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "looking\n"
    for number in range(300):
        KernelLock(tmp_path, f"{UUID(int=number)}", "embedded").release()
    (tmp_path / "stop").touch()
    assert process.communicate(timeout=30)[0] == "[]\n"


# -- the observer, with a clock of its own


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


KERNEL, BEAT = UUID(int=1), datetime(2026, 1, 1, tzinfo=UTC)


def watch(observer: Observer, clock: Clock, seconds: float, beats: Callable[[float], datetime], every: float = 30.0):
    ends = clock.now + seconds
    while clock.now < ends:
        clock.now += every
        if given_up := observer.look([(KERNEL, beats(clock.now))]):
            return given_up
    return []


def test_a_heartbeat_that_stands_still_for_the_lease_is_given_up() -> None:
    clock = Clock()
    observer = Observer(900.0, clock)
    assert watch(observer, clock, 890, lambda now: BEAT) == []
    assert observer.silences()[KERNEL] >= 840
    assert watch(observer, clock, 60, lambda now: BEAT) == [(KERNEL, BEAT)]


def test_a_heartbeat_that_moves_is_never_given_up_however_wrong_its_clock_is() -> None:
    clock = Clock()
    observer = Observer(900.0, clock)
    assert watch(observer, clock, 9000, lambda now: BEAT - timedelta(days=3) + timedelta(seconds=now // 600)) == []


def test_who_could_not_look_for_a_while_watches_anew() -> None:
    clock = Clock()
    observer = Observer(900.0, clock)
    assert watch(observer, clock, 890, lambda now: BEAT) == []
    clock.now += 3600  # the server was away, or this computer asleep
    assert watch(observer, clock, 890, lambda now: BEAT) == []
    assert watch(observer, clock, 60, lambda now: BEAT) == [(KERNEL, BEAT)]


def test_a_process_that_said_goodbye_is_forgotten() -> None:
    clock = Clock()
    observer = Observer(900.0, clock)
    watch(observer, clock, 600, lambda now: BEAT)
    observer.look([])
    assert observer.silences() == {}
    assert watch(observer, clock, 600, lambda now: BEAT) == []
