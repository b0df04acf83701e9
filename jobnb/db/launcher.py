"""The processes of the embedded server: make a cluster, start, recognise and stop its `postgres`.

Nothing here decides *whether* to start or stop, and callers hold the start lock. No shell is involved, and no
process gets a signal that is not a `postgres` working in our data folder.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from jobnb.db.folders import OTHER_DATABASE_ADVICE, SOCKET_NAME, Folders, own_name
from jobnb.db.programs import MAJOR_VERSION, program, programs_for
from jobnb.errors import ConfigurationError, DatabaseUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

ROLE = DATABASE = "jobnb"
START_SECONDS = 120.0
"""How long a server may take to answer: recovery after a crash can be long."""
STOP_SECONDS = 20.0

_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def make_cluster(folders: Folders) -> None:
    """Make the data folder if there is none; all of it or nothing.

    Raises:
        ConfigurationError: there is something else in its place, or it was made by another PostgreSQL.
    """
    # on every start: the initdb of a process that was killed may write on for a moment after its folder was removed
    for left_over in folders.data.parent.glob("data.new-*"):
        shutil.rmtree(left_over, ignore_errors=True)
    version = folders.data / "PG_VERSION"
    if version.exists():
        found = version.read_text().strip()
        if found != str(MAJOR_VERSION):
            raise ConfigurationError(
                f"the data in {folders.data} was made by PostgreSQL {found}, the embedded server is {MAJOR_VERSION}: "
                f"move that folder away (pg_dump it with PostgreSQL {found} first), {OTHER_DATABASE_ADVICE}"
            )
        return
    if folders.data.exists() and (not folders.data.is_dir() or any(folders.data.iterdir())):
        raise ConfigurationError(
            f"{folders.data} is not a PostgreSQL data folder, and the embedded server needs its place: move it away, "
            f"or set JOBNB_HOME to another folder, {OTHER_DATABASE_ADVICE}"
        )
    # a name of its own: the initdb of a process that was killed may still be at work in another
    temporary = Path(tempfile.mkdtemp(prefix="data.new-", dir=folders.data.parent))
    folders.account.give(temporary)
    _initdb(folders, temporary)
    _configure(folders, temporary)
    if folders.data.exists() and not folders.data.is_symlink():
        folders.data.rmdir()
    temporary.rename(folders.data)


def start(folders: Folders, socket_folder: Path) -> int:
    """Start the server and wait until it answers; returns its process id.

    Raises:
        DatabaseUnavailable: it ended, or did not answer in time; with the last lines of its log.
    """
    for _ in range(100):
        try:
            return _start_once(folders, socket_folder)
        except _StillLeaving:
            time.sleep(0.1)
    raise DatabaseUnavailable(f"the processes of a killed server in {folders.data} do not end: {log_tail(folders)}")


class _StillLeaving(Exception):
    """The server was killed, and its child processes have not noticed yet."""


def _start_once(folders: Folders, socket_folder: Path) -> int:
    _remove_stale_locks(folders, socket_folder)
    command = [
        program(programs_for(folders.account), "postgres"), "-D", str(folders.data),
        "-c", f"unix_socket_directories={_list_item(socket_folder)}",
    ]  # fmt: skip
    descriptor = os.open(folders.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "ab") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=_ENVIRONMENT,
            # an interrupt of the notebook's process group is not meant for the server
            start_new_session=True,
            cwd="/",
            **folders.account.spawn_options(),
        )
    _wait_until_ready(folders, socket_folder, process)
    # the server outlives this process; nobody is to warn that it still runs
    process.returncode = 0
    return process.pid


def running_pid(folders: Folders) -> int | None:
    """The process id of the server that works in our data folder; None if there is none."""
    try:
        pid = int((folders.data / "postmaster.pid").read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)  # one that this process started and that was killed
    return pid if _is_our_server(pid, folders) else None


def stop(folders: Folders) -> bool:
    """Stop the server as `pg_ctl stop -m fast` does; True if it has ended."""
    pid = running_pid(folders)
    if pid is None:
        return True
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGINT)
    deadline = time.monotonic() + STOP_SECONDS
    while time.monotonic() < deadline:
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        if running_pid(folders) is None:
            return True
        time.sleep(0.01)
    return False


def log_tail(folders: Folders, lines: int = 4) -> str:
    """The last lines of the server's log, on one line."""
    try:
        return " | ".join(folders.log.read_text("utf-8", "replace").strip().splitlines()[-lines:])
    except OSError:
        return "no log"


def answers(socket_folder: Path) -> bool:
    """True if a server answers there and has our database."""
    try:
        psycopg.connect(host=str(socket_folder), user=ROLE, dbname=DATABASE, connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True


def _initdb(folders: Folders, target: Path) -> None:
    programs = programs_for(folders.account)
    done = _run(
        folders,
        [program(programs, "initdb"), "-A", "peer", "-U", ROLE, "--encoding=UTF8", "--locale=C.UTF-8",
         "--no-instructions", "--no-sync", "-D", str(target)],
    )  # fmt: skip
    if done.returncode:
        raise ConfigurationError(
            f"initdb could not make the embedded server's data in {target}: {done.stderr.strip()[-500:]}; "
            f"set JOBNB_HOME to another folder, {OTHER_DATABASE_ADVICE}"
        )
    made = subprocess.run(
        [program(programs, "postgres"), "--single", "-D", str(target), "postgres"],
        input=f"CREATE DATABASE {DATABASE} OWNER {ROLE};\n", capture_output=True, text=True, check=False,
        env=_ENVIRONMENT, cwd="/", **folders.account.spawn_options(),
    )  # fmt: skip
    if made.returncode:
        raise ConfigurationError(f"the embedded server's database could not be made: {made.stderr.strip()[-500:]}")


def _run(folders: Folders, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, env=_ENVIRONMENT, cwd="/",
        **folders.account.spawn_options(),
    )  # fmt: skip


def _configure(folders: Folders, target: Path) -> None:
    """Only this user gets in, by the operating system's word for who is at the other end of the socket."""
    _replace(folders, target / "pg_hba.conf", "local all all peer map=jobnb\n")
    names = {own_name(), folders.account.name}
    lines = "".join(f'jobnb "{name}" {ROLE}\n' for name in sorted(names))
    _replace(folders, target / "pg_ident.conf", lines)
    settings = (
        "listen_addresses = ''\nunix_socket_permissions = 0700\ntimezone = 'UTC'\nlog_timezone = 'UTC'\n"
        "shared_buffers = '32MB'\nmax_connections = 100\nlog_min_messages = warning\n"
    )
    _replace(folders, target / "postgresql.auto.conf", settings)
    if sys.platform == "linux":
        os.sync()


def _replace(folders: Folders, path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    folders.account.give(path)


def _wait_until_ready(folders: Folders, socket_folder: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not answers(socket_folder):
        if process.poll() is not None:
            if "shared memory" in (tail := log_tail(folders)):
                raise _StillLeaving(tail)
            raise DatabaseUnavailable(f"the embedded PostgreSQL in {folders.data} does not start: {log_tail(folders)}")
        if time.monotonic() > deadline:
            raise DatabaseUnavailable(
                f"the embedded PostgreSQL in {folders.data} has not answered for {START_SECONDS:g} s: "
                f"{log_tail(folders)}"
            )
        time.sleep(0.02)


def _remove_stale_locks(folders: Folders, socket_folder: Path) -> None:
    """Remove what would make PostgreSQL refuse to start.

    It does so when a file it left names a process that lives, or waits to be reaped, whatever process that is.
    """
    if running_pid(folders) is None:
        for path in (
            folders.data / "postmaster.pid",
            socket_folder / SOCKET_NAME,
            socket_folder / f"{SOCKET_NAME}.lock",
        ):
            path.unlink(missing_ok=True)


def _is_our_server(pid: int, folders: Folders) -> bool:
    process = Path(f"/proc/{pid}")
    if Path("/proc/self").exists():
        try:
            command = (process / "cmdline").read_bytes().split(b"\0")
            state = (process / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return False
        return state != "Z" and os.fsencode(folders.data) in command
    listed = subprocess.run(
        ["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return str(folders.data) in listed.stdout


def _list_item(folder: Path) -> str:
    """A path in a comma-separated setting: in double quotes, with those inside doubled."""
    return '"' + str(folder).replace('"', '""') + '"'
