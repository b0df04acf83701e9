"""The watcher of the embedded server: the server ends when its last client is gone, however that ended, and not before."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from children import Child
from waiting import until

from jobnb.db import launcher, watcher
from jobnb.db.embedded import EmbeddedServer
from jobnb.db.folders import ROOT_AREA, locate
from jobnb.locks import FileLock

pytestmark = pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks at processes where Linux shows them")

CLIENT = """
import sys
from pathlib import Path
from jobnb.db.embedded import embedded_server
server = embedded_server(Path("home"))
server.ensure_running()
print(server.status().pid, flush=True)
for line in sys.stdin:
    exec(line)
    print("done", flush=True)
"""

Start = Callable[[], Child]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("watched")
    yield folder / "home"
    folders = locate(folder / "home")
    launcher.stop(folders)
    if ROOT_AREA in folders.data.parents:
        subprocess.run(["rm", "-r", folders.data.parent], check=True)


@pytest.fixture
def client(home: Path) -> Iterator[Start]:
    started = []

    def start() -> Child:
        started.append(Child(home.parent, CLIENT))
        return started[-1]

    yield start
    for one in started:
        one.clean_up()
    until(lambda: not watchers(home) and server_of(home) is None)


def server_of(home: Path) -> int | None:
    return EmbeddedServer(home).status().pid


def watchers(home: Path, what: str = "watcher") -> list[int]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        about_us = any(word in (os.fsencode(home), os.fsencode(home / "postgres" / "lives.lock")) for word in command)
        if about_us and what.encode() in b" ".join(command):
            found.append(int(process.name))
    return found


def connects(home: Path) -> bool:
    server = find_socket(home)
    with psycopg.connect(host=str(server), user="jobnb", dbname="jobnb") as connection:
        return connection.execute("SELECT true").fetchone() == (True,)


def find_socket(home: Path) -> Path:
    found = launcher.find(locate(home))
    assert found is not None
    assert found.socket_folder is not None
    return found.socket_folder


def test_server_ends_when_its_last_client_was_killed(home: Path, client: Start) -> None:
    first, second = client(), client()
    pid = int(first.line())
    assert int(second.line()) == pid
    assert len(watchers(home)) == 1

    first.kill()
    second.tell("print(server.ensure_running())")
    assert (second.line(), second.line()) == ("None", "done")
    assert server_of(home) == pid
    assert connects(home)

    second.kill()
    until(lambda: server_of(home) is None)
    until(lambda: not watchers(home))


def test_watcher_that_was_killed_is_replaced_by_the_next_client(home: Path, client: Start) -> None:
    first = client()
    first.line()
    until(lambda: len(watchers(home, "watcher_wait")) == 1)
    os.kill(watchers(home)[0], signal.SIGKILL)
    first.tell("server.ensure_running()")
    assert first.line() == "done"
    until(lambda: not watchers(home))

    second = client()
    second.line()
    until(lambda: len(watchers(home)) == 1)
    second.kill()
    first.kill()

    until(lambda: server_of(home) is None)


def test_without_a_watcher_the_last_client_stops_the_server_as_ever(home: Path, client: Start) -> None:
    first = client()
    first.line()
    until(lambda: len(watchers(home, "watcher_wait")) == 1)
    os.kill(watchers(home)[0], signal.SIGKILL)

    first.tell("server.release()")
    assert first.line() == "done"

    assert server_of(home) is None


def test_client_that_comes_when_the_watcher_is_about_to_stop_the_server_keeps_it(home: Path, client: Start) -> None:
    first = client()
    pid = int(first.line())
    until(lambda: len(watchers(home, "watcher_wait")) == 1)
    start = FileLock(home / "postgres" / watcher.START_LOCK)
    assert start.exclusive(5)

    first.kill()
    until(lambda: len(watchers(home, "stop_if_unused")) == 1)
    # what a client does while it has the start lock
    clients = FileLock(home / "postgres" / watcher.CLIENTS_LOCK)
    assert clients.try_shared()
    start.close()
    until(lambda: not watchers(home))

    assert server_of(home) == pid
    assert connects(home)
    clients.close()
    # and the next one to join has a watcher again
    second = client()
    assert int(second.line()) == pid
    second.kill()
    until(lambda: server_of(home) is None)


def test_clients_that_come_and_are_killed_at_any_moment_find_a_server_that_works(home: Path, client: Start) -> None:
    for delay in (0.0, 0.02, 0.05, 0.1, 0.2):
        one = client()
        one.line()
        one.kill()
        time.sleep(delay)
        other = client()
        assert int(other.line()) == server_of(home)
        assert connects(home)
        other.kill()


def test_server_that_was_left_running_on_purpose_goes_on(home: Path, client: Start) -> None:
    first = client()
    pid = int(first.line())
    until(lambda: len(watchers(home, "watcher_wait")) == 1)

    first.tell("server.leave_running()")
    assert first.line() == "done"
    until(lambda: not watchers(home))
    assert server_of(home) == pid
    assert connects(home)

    second = client()
    assert int(second.line()) == pid
    second.kill()
    until(lambda: server_of(home) is None)


def test_children_of_a_killed_client_do_not_keep_the_server(home: Path, client: Start) -> None:
    first = client()
    first.line()
    first.tell("import os, time; os.fork() or time.sleep(30)")
    assert first.line() == "done"

    first.kill()

    until(lambda: server_of(home) is None)


@pytest.mark.parametrize(("program", "is_frozen"), [("/opt/uwsgi", False), (sys.executable, True), ("", False)])
def test_program_that_is_no_python_is_not_started_again(
    program: str, is_frozen: bool, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object, **_options: object) -> None:
        raise AssertionError("it was started")

    monkeypatch.setattr(watcher.subprocess, "Popen", refuse)
    monkeypatch.setattr(watcher, "find", lambda folders: folders)
    monkeypatch.setattr(sys, "executable", program)
    monkeypatch.setattr(sys, "frozen", is_frozen, raising=False)

    watcher.watch(locate(home))
