"""Start, join and stop the embedded server's `postgres`.

Nothing here decides *when* to start or stop, and callers hold the start lock. No shell is involved, no process gets
a signal that is not a `postgres` working in our data folder, and a server that lives and can be reached is never
restarted: it has other clients.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from jobnb.db.cluster import ENVIRONMENT
from jobnb.db.folders import OTHER_DATABASE_ADVICE, SOCKET_NAME
from jobnb.db.postmaster import Postmaster, find, noted
from jobnb.db.programs import program, programs_for
from jobnb.errors import ConfigurationError, DatabaseUnavailable
from jobnb.locks import lock_for_child

if TYPE_CHECKING:
    from pathlib import Path

    from jobnb.db.folders import Folders

START_SECONDS = 120.0
"""How long a server may take to be ready: recovery after a crash can be long."""
STOP_SECONDS = 20.0
LEAVING_SECONDS = 10.0
"""How long the child processes of a killed server may take to notice."""

_started: set[int] = set()
"""Servers and watchers that are children of this process: the ones it may have to reap."""


def join_or_start(folders: Folders) -> Path:
    """Make sure that a server runs and is ready; returns the folder of its socket.

    Raises:
        ConfigurationError: it runs on another machine, or its socket's folder is not private.
        DatabaseUnavailable: it ended, or was not ready in time; with the last lines of its log.
    """
    deadline = time.monotonic() + LEAVING_SECONDS
    while True:
        server = _settled(folders) or _started_or_elsewhere(folders)
        if server is not None and server.socket_folder is not None:
            return folders.checked_socket_folder(server.socket_folder)
        if time.monotonic() > deadline:
            raise _in_use(folders)
        time.sleep(0.1)


def stop(folders: Folders) -> bool:
    """Stop the server as `pg_ctl stop -m fast` does; True if it has ended."""
    server = find(folders)
    if server is None:
        return True
    with suppress(ProcessLookupError):
        os.kill(server.pid, signal.SIGINT)
    deadline = time.monotonic() + STOP_SECONDS
    while time.monotonic() < deadline:
        reap()
        if find(folders) is None:
            return True
        time.sleep(0.01)
    return False


def outlives_us(process: subprocess.Popen[bytes]) -> None:
    """A server, or its watcher, may go on when this process ends; nobody is to warn that it still runs."""
    process.returncode = 0
    _started.add(process.pid)


def reap() -> None:
    """Take notice of servers and watchers that this process started and that have ended."""
    for pid in list(_started):
        with suppress(ChildProcessError):
            if os.waitpid(pid, os.WNOHANG)[0] == 0:
                continue
        _started.discard(pid)


def log_tail(folders: Folders, since: int = 0) -> str:
    """The last lines of the server's log, on one line; only what came after its first `since` bytes."""
    try:
        with folders.log.open("rb") as log:
            log.seek(since)
            lines = log.read().decode("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    return " | ".join(lines[-4:]) or "nothing in its log"


def _settled(folders: Folders) -> Postmaster | None:
    """The server that runs, once it is ready; None if there is none, or the one that was there has ended."""
    deadline = time.monotonic() + START_SECONDS
    while (server := find(folders)) is not None:
        if server.status == "ready" and server.listens():
            return server
        if server.status == "starting":
            if time.monotonic() > deadline:
                raise _not_ready(folders)
            time.sleep(0.02)
        # else it is on its way out, perhaps waiting for its clients to leave; or its socket was removed, by somebody
        # who cleans folders: it can't make another, and no client can reach it any more
        elif not stop(folders):
            raise DatabaseUnavailable(
                f"the embedded PostgreSQL in {folders.data} (process {server.pid}) takes no connections and does not "
                f"end: {log_tail(folders)}"
            )
    return None


def _started_or_elsewhere(folders: Folders) -> Postmaster | None:
    """A server started now, or one in another container that can be reached from here; None to try again."""
    alive = lock_for_child(folders.base / "server.lock")
    if alive is None:
        server = noted(folders)
        return server if server is not None and server.serves() else None
    try:
        os.truncate(alive, 0)
        os.write(alive, socket.gethostname().encode())
        written = folders.log.stat().st_size if folders.log.exists() else 0
        process = _spawn(folders, alive)
    finally:
        os.close(alive)
    try:
        return _wait_until_ready(folders, process, written)
    finally:
        outlives_us(process)


def _spawn(folders: Folders, alive: int) -> subprocess.Popen[bytes]:
    """Run `postgres`; it and its children keep the lock on the descriptor `alive` as long as one of them lives."""
    socket_folder = folders.make_socket_folder()
    # it would refuse to start if a file left behind names a process that lives, whatever process that is
    for path in (
        folders.data / "postmaster.pid",
        socket_folder / SOCKET_NAME,
        socket_folder / f"{SOCKET_NAME}.lock",
    ):
        path.unlink(missing_ok=True)
    command = [
        program(programs_for(folders.account), "postgres"), "-D", str(folders.data), "-c", "port=5432",
        "-c", f"unix_socket_directories={_list_item(socket_folder)}",
    ]  # fmt: skip
    descriptor = os.open(folders.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "ab") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=ENVIRONMENT,
            pass_fds=[alive],
            # an interrupt of the notebook's process group is not meant for the server
            start_new_session=True,
            cwd="/",
            **folders.account.spawn_options(),
        )


def _wait_until_ready(folders: Folders, process: subprocess.Popen[bytes], written: int) -> Postmaster | None:
    """Wait for the new server; what it says comes behind the first `written` bytes of the log."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        server = noted(folders)
        if server is not None and server.pid == process.pid and server.status == "ready":
            return server
        if process.poll() is not None:
            if "pre-existing shared memory block" in (tail := log_tail(folders, written)):
                return None  # where files can't be locked, this is how the children of a killed server show
            raise DatabaseUnavailable(f"the embedded PostgreSQL in {folders.data} does not start: {tail}")
        if time.monotonic() > deadline:
            raise _not_ready(folders)
        time.sleep(0.01)


def _not_ready(folders: Folders) -> DatabaseUnavailable:
    return DatabaseUnavailable(
        f"the embedded PostgreSQL in {folders.data} has been starting for {START_SECONDS:g} s: {log_tail(folders)}"
    )


def _in_use(folders: Folders) -> Exception:
    """Somebody keeps the data in use, and it is no server that can be seen or reached from here."""
    place = folders.base / "server.lock"
    host = place.read_text("utf-8", "replace") or "another machine"
    if host == socket.gethostname():
        return DatabaseUnavailable(
            f"the processes of a server that was killed in {folders.data} do not end: {log_tail(folders)}"
        )
    return ConfigurationError(
        f"the embedded PostgreSQL in {folders.home} runs on {host}, and serves one machine only: end its clients "
        f"there, set JOBNB_HOME to a folder that only this machine uses, {OTHER_DATABASE_ADVICE}"
    )


def _list_item(folder: Path) -> str:
    """A path in a comma-separated setting: in double quotes, with those inside doubled."""
    return '"' + str(folder).replace('"', '""') + '"'
