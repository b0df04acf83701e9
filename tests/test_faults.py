"""Whatever breaks on the way to the database, what was accepted is stored once and right."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy.exc import InvalidRequestError

import jobnb
from jobnb.api import default_service
from jobnb.db.database import Database
from jobnb.db.embedded import EmbeddedServer
from jobnb.db.schema import schema_sql
from jobnb.ids import new_id_text
from jobnb.recorder import Recorder
from jobnb.recorder import spool as spool_module
from jobnb.recorder.events import Event, EventKind
from jobnb.recorder.lines import LineWriter
from jobnb.recorder.spool import Spool, read_segment, segments_of, spooled_kernels
from jobnb.settings import Settings

CHECKOUT = Path(jobnb.__file__).parents[1]

AUDIT = """
CREATE TABLE audit (n bigserial PRIMARY KEY, job_id uuid, status text);
CREATE FUNCTION write_audit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF TG_OP = 'INSERT' OR NEW.status IS DISTINCT FROM OLD.status THEN
        INSERT INTO audit (job_id, status) VALUES (NEW.job_id, NEW.status::text);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER audit AFTER INSERT OR UPDATE ON jobs FOR EACH ROW EXECUTE FUNCTION write_audit();
"""

RESTARTED = """
import os, time, jobnb
def work(number):
    time.sleep(0.001)
    if number == 400:
        os.write(1, b"middle\\n")
    return number
jobnb.configure(max_workers=2)
group = jobnb.map(work, range(1000))
assert group.results(60) == list(range(1000))
jobnb.api.default_service().runtime.recorder.settle(60)
os.write(1, b"stored\\n")
"""

KILLED = """
import os, sys, threading, time, jobnb
accepted, ran, done = [os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND) for name in ("accepted", "ran", "done")]
def work(number):
    os.write(ran, b"%d\\n" % number)
    time.sleep(0.001)
    return number
def told(handle):
    os.write(done, f"{handle.job_id} {handle.result()}\\n".encode())
    if handle.result() == 400:
        os.write(1, b"middle\\n")
jobnb.configure(max_workers=2)
for number in range(1000):
    handle = jobnb.submit(work, number)
    os.write(accepted, f"{handle.job_id}\\n".encode())
    handle.add_done_callback(told)
threading.Event().wait()
"""

AWAY = """
import sys, time, jobnb
def work(number):
    time.sleep(0.001)
    return number
jobnb.submit(work, -1).result()
jobnb.api.default_service().runtime.recorder.settle(60)
print("ready", flush=True)
sys.stdin.readline()
began = time.monotonic()
handles = [jobnb.submit(work, number) for number in range(200)]
assert [handle.result(30) for handle in handles] == list(range(200))
print(time.monotonic() - began, flush=True)
jobnb.api.default_service().runtime.recorder.settle(60)
print("stored", flush=True)
"""


class Child:
    """A Python process that runs one of the scripts above in a folder of its own."""

    def __init__(self, folder: Path, script: str, **variables: str) -> None:
        path = folder / "child.py"
        path.write_text(script)
        inherited = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
        self.errors = folder / "stderr"
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, str(path)],
                cwd=folder,
                env={**inherited, "PYTHONPATH": str(CHECKOUT), **variables},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline().strip()
        assert line, self.errors.read_text()
        return line

    def tell(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self) -> None:
        self.process.communicate(timeout=30)
        assert self.process.returncode == 0, self.errors.read_text()


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Callable[..., Child]]:
    started: list[Child] = []

    def start(script: str, **variables: str) -> Child:
        started.append(Child(tmp_path, script, **variables))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.communicate()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    """A server that a test may stop without harm to the others."""
    embedded = EmbeddedServer(tmp_path / "own")
    embedded.ensure_running()
    with psycopg.connect(**embedded.conninfo()) as connection:
        connection.execute(schema_sql())  # type: ignore[arg-type]
        connection.execute(AUDIT)
    yield embedded
    data = embedded.status().data
    embedded.release()
    shutil.rmtree(data.parent, ignore_errors=True)


def until(condition: Callable[[], Any], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def shut_down_at_once(server: EmbeddedServer) -> int:
    """Immediate shutdown, as after a crash: nothing is flushed, recovery follows at the next start."""
    pid = server.status().pid
    assert pid is not None
    os.kill(pid, signal.SIGQUIT)
    return pid


def rows_of(conninfo: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(conninfo) as connection:
        return connection.execute("SELECT job_id, status::text, result, error_kind FROM jobs").fetchall()


def assert_never_backward(conninfo: str) -> None:
    """Each job's transitions go up only, and exactly one of them is final."""
    with psycopg.connect(conninfo) as connection:
        transitions = connection.execute("SELECT job_id, status FROM audit ORDER BY n").fetchall()
    ranks = {"scheduled": 0, "in_progress": 1, "done": 2, "failed": 2}
    histories: dict[UUID, list[int]] = {}
    for job_id, status in transitions:
        histories.setdefault(job_id, []).append(ranks[status])
    assert histories
    for job_id, history in histories.items():
        assert history == sorted(history), (job_id, history)
        assert history.count(2) == 1, (job_id, history)


def own_conninfo(server: EmbeddedServer) -> str:
    parts = server.conninfo()
    return f"postgresql://{parts['user']}@/{parts['dbname']}?host={parts['host']}"


# -- the server goes


@pytest.mark.skipif(os.name == "nt", reason="there are no signals to send to the server")
def test_a_restart_of_the_server_in_the_middle_of_a_thousand_jobs_loses_none(
    own_server: EmbeddedServer, child: Callable[..., Child]
) -> None:
    process = child(RESTARTED, JOBNB_HOME=str(own_server.home))
    assert process.line() == "middle"
    old_pid = shut_down_at_once(own_server)
    assert process.line() == "stored"
    assert own_server.status().pid not in (None, old_pid)
    process.end()
    rows = rows_of(own_conninfo(own_server))
    assert Counter(row[1] for row in rows) == {"done": 1000}
    assert sorted(row[2]["result"] for row in rows) == list(range(1000))
    assert_never_backward(own_conninfo(own_server))


@pytest.mark.skipif(os.name == "nt", reason="there are no signals to send to the server")
def test_jobs_run_on_at_full_speed_while_the_server_is_away(
    own_server: EmbeddedServer, child: Callable[..., Child], tmp_path: Path
) -> None:
    url = own_conninfo(own_server)
    process = child(AWAY, JOBNB_HOME=str(tmp_path / "home"), DATABASE_URL=url)
    assert process.line() == "ready"
    shut_down_at_once(own_server)
    until(lambda: own_server.status().pid is None)
    process.tell()
    assert float(process.line()) < 3.0
    assert own_server.status().pid is None
    own_server.ensure_running()
    assert process.line() == "stored"
    process.end()
    rows = rows_of(url)
    assert Counter(row[1] for row in rows) == {"done": 201}
    assert sorted(row[2]["result"] for row in rows) == list(range(-1, 200))
    assert_never_backward(url)


# -- the process goes


@pytest.mark.skipif(os.name == "nt", reason="kill -9 is a Unix thing")
def test_after_kill_9_what_was_told_as_done_is_done_and_nothing_runs_again(
    home: Path, database_url: str, child: Callable[..., Child], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(AUDIT)
    process = child(KILLED, JOBNB_HOME=str(home), DATABASE_URL=database_url)
    assert process.line() == "middle"
    process.process.kill()
    process.process.wait()
    told = dict(line.split() for line in (tmp_path / "done").read_text().splitlines())
    accepted = set((tmp_path / "accepted").read_text().split())
    ran = (tmp_path / "ran").read_text().split()
    assert 300 < len(told) < 1000

    monkeypatch.setenv("DATABASE_URL", database_url)
    jobnb.configure()
    runtime = default_service().runtime
    runtime.open()
    folder = runtime.recorder.dead_letters.parent
    # in this order: the rows of what was in the spool are closed after it was stored
    until(lambda: spooled_kernels(folder) <= {runtime.kernel_id} and not unfinished(database_url))

    rows = {str(row[0]): row for row in rows_of(database_url)}
    assert accepted <= rows.keys()
    assert {job_id: rows[job_id][1] for job_id in told} == dict.fromkeys(told, "done")
    assert {job_id: str(rows[job_id][2]["result"]) for job_id in told} == told
    others = Counter((row[1], row[3]) for job_id, row in rows.items() if job_id not in told)
    assert others.keys() <= {("done", None), ("failed", "lost")}
    assert (tmp_path / "ran").read_text().split() == ran
    assert max(Counter(ran).values()) == 1
    assert_never_backward(database_url)


def unfinished(url: str) -> bool:
    rows = rows_of(url)
    return not rows or any(row[1] in ("scheduled", "in_progress") for row in rows)


# -- the server refuses


@pytest.fixture
def host_documents(home: Path, empty_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """jobnb in a database whose table of documents belongs to the host application."""
    with psycopg.connect(empty_url) as connection:
        connection.execute("CREATE TABLE documents (document_id uuid PRIMARY KEY)")
        connection.execute("CREATE TABLE properties (property_id uuid PRIMARY KEY)")
        connection.execute(schema_sql())  # type: ignore[arg-type]
    monkeypatch.setenv("DATABASE_URL", empty_url)
    jobnb.configure()
    default_service().runtime.open()
    yield empty_url
    default_service().close()


def test_a_document_that_vanished_costs_one_reference_and_no_job(host_documents: str) -> None:
    document = UUID(new_id_text())
    with psycopg.connect(host_documents) as connection:
        connection.execute("INSERT INTO documents VALUES (%s)", [document])
    with psycopg.connect(host_documents) as connection:
        connection.execute("LOCK TABLE jobs IN EXCLUSIVE MODE")  # the writer waits; readers do not
        before = [jobnb.submit(int, number) for number in range(150)]
        poison = jobnb.submit(int, 1000, document_id=document)
        after = [jobnb.submit(int, number) for number in range(150)]
        connection.execute("DELETE FROM documents")
    assert [handle.result(10) for handle in before + after] == [*range(150), *range(150)]
    default_service().runtime.recorder.settle(60)
    rows = {row[0]: row for row in rows_of(host_documents)}
    assert len(rows) == 301
    assert {rows[handle.job_id][2]["result"] for handle in before + after} == set(range(150))
    row = poison.refresh()
    assert (row.status, row.document_id) == ("done", None)
    execution = default_service().runtime.execution_of(poison.job_id)
    assert execution is not None
    assert "stored without some of its data" in (execution.problem or "")
    assert str(document) in (execution.problem or "")


def test_a_record_that_is_refused_in_every_form_goes_to_the_dead_letters(
    host_documents: str, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = default_service().runtime.recorder
    poison = new_id_text()
    events = [Event(EventKind.NEW, new_id_text(), 1, '"job_type":"good"') for _ in range(300)]
    events.insert(150, Event(EventKind.NEW, poison, 1, f'"job_type":"{"x" * 60}"'))
    with caplog.at_level(logging.ERROR, "jobnb"):
        recorder.put_all(events)
        recorder.settle(60)
    stored = {str(row[0]) for row in rows_of(host_documents)}
    assert stored == {event.job_id for event in events} - {poison}
    (letter,) = [json.loads(line) for line in recorder.dead_letters.read_text().splitlines()]
    assert letter["job_id"] == poison
    assert poison in caplog.text
    assert str(recorder.dead_letters) in caplog.text
    recorder.put(Event(EventKind.NEW, new_id_text(), 1, '"job_type":"good"'))
    recorder.settle(60)
    assert len(rows_of(host_documents)) == 301


def test_a_connection_that_is_cut_while_the_pool_hands_it_out_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    job = jobnb.submit(int)
    assert job.result(20) == 0
    engine, handed_out = default_service().runtime.database._readers, list[bool]()
    connect = engine.connect

    def cut_once() -> Any:
        handed_out.append(True)
        if len(handed_out) == 1:
            raise InvalidRequestError("This connection is closed")
        return connect()

    monkeypatch.setattr(engine, "connect", cut_once)
    assert default_service().runtime.database.ping()
    assert len(handed_out) >= 2  # the caretaker looks too


# -- many threads


def test_an_event_brought_while_another_thread_writes_the_spool_is_not_forgotten(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(settings)
    recorder = Recorder(database, tmp_path / "spool", new_id_text())
    first, second = made(2)
    inside, go_on, told = threading.Event(), threading.Event(), threading.Event()
    append = recorder.intake._spool.append

    def slow_append(events: Any, sequence: int) -> None:
        inside.set()
        assert go_on.wait(10)
        append(events, sequence)

    monkeypatch.setattr(recorder.intake._spool, "append", slow_append)
    writing = threading.Thread(target=recorder.put_all, args=([first],))
    writing.start()
    try:
        assert inside.wait(10)
        recorder.put(second, told.set)
        go_on.set()
        writing.join()
        assert told.wait(2), "nobody took the event along, nor told its job that it is safe"
        recorder.settle(60)
        assert recorder.waiting == 0
    finally:
        go_on.set()
        writing.join()
        recorder.close(5)
        database.close()


# -- the spool itself


def as_line(event: Event) -> bytes:
    (line,) = LineWriter().lines([event])
    return line


def made(count: int) -> list[Event]:
    return [
        Event(EventKind.NEW, new_id_text(), 1, f'"job_type":"spool","name":"job {number}"') for number in range(count)
    ]


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool(tmp_path / "spool", "kernel")
    yield spool
    with contextlib.suppress(OSError):
        spool.close(is_empty=True)


def test_a_spool_gives_back_what_was_appended(spool: Spool) -> None:
    events = made(5)
    spool.append(events[:2], 2)
    spool.append(events[2:], 5)
    assert read_segment(spool.path) == (events, 0)
    assert spool.path.stat().st_mode & 0o777 == 0o600
    assert spool.path.parent.stat().st_mode & 0o777 == 0o700


def test_every_torn_tail_costs_only_the_last_event(tmp_path: Path) -> None:
    first, last = made(2)
    whole, path = as_line(first) + as_line(last), tmp_path / "kernel.0.jsonl"
    for length in range(len(as_line(first)) + 1, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert read_segment(path) == ([first], 1), length


@pytest.mark.parametrize("damage", [b"\x00\x00\x00\x00", b"\xff", b"x", b" "])
def test_a_damaged_line_is_skipped_and_counted(tmp_path: Path, damage: bytes) -> None:
    events = made(3)
    lines, path = [as_line(event) for event in events], tmp_path / "kernel.0.jsonl"
    for place in (0, 4, 8, 9, 11, 50, len(lines[1]) - 2):
        broken = lines[1][:place] + damage + lines[1][place + len(damage) :]
        if broken == lines[1]:
            continue
        path.write_bytes(lines[0] + broken.replace(b"\n", b"") + b"\n" + lines[2])
        assert read_segment(path) == ([events[0], events[2]], 1), place


@pytest.mark.parametrize("line", [b"x", b"00000000", b"00000000 ", b"zzzzzzzz N a 1 ", b"\x00" * 4096])
def test_a_short_or_foreign_line_is_damage_and_no_crash(tmp_path: Path, line: bytes) -> None:
    (event,) = made(1)
    path = tmp_path / "kernel.0.jsonl"
    path.write_bytes(line + b"\n" + as_line(event))
    assert read_segment(path) == ([event], 1)


def test_an_acknowledged_spool_is_empty_and_goes_on(spool: Spool) -> None:
    events = made(3)
    spool.append(events[:2], 2)
    spool.acknowledge(1, is_last=False)
    assert len(read_segment(spool.path)[0]) == 2
    spool.acknowledge(2, is_last=True)
    assert spool.path.stat().st_size == 0
    spool.append(events[2:], 3)
    assert read_segment(spool.path) == (events[2:], 0)


def test_segments_rotate_and_are_dropped_once_written(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "SEGMENT_BYTES", 200)
    events = made(30)
    for number, event in enumerate(events, 1):
        spool.append([event], number)
    folder = spool.path.parent
    segments = segments_of(folder, "kernel")
    assert len(segments) > 3
    assert [event for path in segments for event in read_segment(path)[0]] == events
    spool.acknowledge(15, is_last=False)
    left = [event for path in segments_of(folder, "kernel") for event in read_segment(path)[0]]
    assert left == events[-len(left) :]
    assert 15 <= len(left) <= 18
    spool.acknowledge(30, is_last=True)
    assert segments_of(folder, "kernel") == [spool.path]
    assert spool.path.stat().st_size == 0


def test_a_disk_that_fills_up_leaves_no_half_line(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    events = made(3)
    spool.append(events[:1], 1)
    real = os.write
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", lambda descriptor, data: real(descriptor, data[: len(data) // 2]))
        with pytest.raises(OSError, match="no space left"):
            spool.append(events[1:2], 2)
    spool.append(events[2:], 3)
    assert read_segment(spool.path) == ([events[0], events[2]], 0)


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="no symbolic links to fear")
def test_a_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(as_line(made(1)[0]))
    link = tmp_path / "kernel.0.jsonl"
    link.symlink_to(target)
    with pytest.raises(OSError, match="symbolic"):
        read_segment(link)
