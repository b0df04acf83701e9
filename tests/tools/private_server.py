"""A PostgreSQL server that a test may stop, freeze, break and restart as it likes; it listens on TCP."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg
from waiting import until

from jobnb.db.folders import Account, locate
from jobnb.db.programs import programs_for

_random = random.SystemRandom()  # tests that run in parallel have one seed

DEBIAN_PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
"""Debian's PostgreSQL, which speaks TLS; that of the wheel doesn't."""

SETTINGS = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
shared_buffers = '16MB'
max_connections = 60
log_min_messages = warning
fsync = off
full_page_writes = off
"""
"""Without fsync: processes are killed here, not power cuts made, and the disk of a busy machine costs seconds."""


def account() -> Account:
    """Under which account PostgreSQL and PgBouncer run: neither does as root."""
    return locate(Path("/nonexistent")).account


def free_port() -> int:
    """A TCP port that nobody listens on now, and that no connection gets by chance while its owner is down."""
    while True:
        port = _random.randrange(12_000, 32_000)  # below those that Linux gives to connections
        with socket.socket() as one, contextlib.suppress(OSError):
            one.bind(("127.0.0.1", port))
            return port


class PrivateServer:
    """One cluster in a folder of its own; made and started at once.

    The folder is in the system's temporary one: PostgreSQL runs under another account if this is root, which pytest's
    private folders would not let through.

    Args:
        settings: further lines of postgresql.conf.
        hba: pg_hba.conf; everybody is trusted unless given.
        programs: the folder with `postgres` and `initdb`; the embedded server's unless given.
        folder: where it lives, instead of a new one.
    """

    USER = "jobnb"

    def __init__(
        self, settings: str = "", *, hba: str = "host all all 127.0.0.1/32 trust\n", programs: Path | None = None,
        folder: Path | None = None,
    ) -> None:  # fmt: skip
        self.folder = folder or Path(tempfile.mkdtemp(prefix="jobnb-test-"))
        self.account = account()
        self.data = self.folder / "data"
        self.log = self.folder / "server.log"
        self.port = free_port()
        self.programs = programs or programs_for(self.account)
        self._process: subprocess.Popen[bytes] | None = None
        self._make(settings, hba)
        self.start()

    # -- its life

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(self.programs / "postgres"), "-D", str(self.data), "-p", str(self.port)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True,
                **self.account.spawn_options(),
            )  # fmt: skip
        until(self.answers, 60)

    def answers(self) -> bool:
        """Whether it takes connections."""
        assert self.pid is not None, self.log.read_text()
        try:
            psycopg.connect(self.url(), connect_timeout=2).close()
        except psycopg.OperationalError as error:
            # it answers, only not us
            return "too many clients" in str(error) or "no pg_hba.conf entry" in str(error)
        return True

    @property
    def pid(self) -> int | None:
        """The process of the postmaster; None if it does not run."""
        running = self._process is not None and self._process.poll() is None
        return self._process.pid if running and self._process else None

    def stop(self, how: str = "fast") -> None:
        """Stop it: `fast` is polite to the data, `immediate` is like a crash."""
        if self._process is not None:
            self.thaw()
            self._process.send_signal({"fast": signal.SIGINT, "immediate": signal.SIGQUIT}[how])
            self._process.wait(30)
            self._process = None

    def restart(self, how: str = "fast") -> None:
        """Stop and start it."""
        self.stop(how)
        self.start()

    def freeze(self) -> None:
        """Stop all its processes in their tracks; the operating system goes on acknowledging packets."""
        for pid in self._processes():
            os.kill(pid, signal.SIGSTOP)

    def freeze_postmaster(self) -> None:
        """Stop the process that takes new connections; existing ones go on."""
        assert self.pid is not None
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let everything go on."""
        for pid in self._processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def terminate_backends(self) -> int:
        """End all other connections, as a server does that is suspended for lack of use; how many."""
        query = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND usename IS NOT NULL"
        return int(self.ask(query))

    def remove(self) -> None:
        """Stop it and delete its data."""
        with contextlib.suppress(ProcessLookupError):
            self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    # -- talking to it

    def url(self, database: str = "postgres", *, port: int | None = None, user: str = USER, password: str = "") -> str:
        """Where a database is; through a proxy if its port is given."""
        secret = f":{password}" if password else ""
        return f"postgresql://{user}{secret}@127.0.0.1:{port or self.port}/{database}"

    def ask(self, query: str, database: str = "postgres") -> Any:
        """The one value of a query, run by the superuser on a connection of its own."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(query)  # type: ignore[call-overload]
            row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None

    def _make(self, settings: str, hba: str) -> None:
        self.account.give(self.folder)
        subprocess.run(
            [str(self.programs / "initdb"), "-A", "trust", "-U", self.USER, "--encoding=UTF8", "--locale=C.UTF-8",
             "--no-instructions", "--no-sync", "-D", str(self.data)],
            check=True, capture_output=True, cwd="/", **self.account.spawn_options(),
        )  # fmt: skip
        with (self.data / "postgresql.conf").open("a") as file:
            file.write(SETTINGS + settings)
        (self.data / "pg_hba.conf").write_text(hba)

    def _processes(self) -> list[int]:
        if self.pid is None:
            return []
        return [self.pid, *children_of(self.pid)]


def children_of(parent: int) -> list[int]:
    """The processes that a process started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[1]) == parent:
                found.append(int(stat.parent.name))
    return found


def wait_for_listener(port: int, seconds: float = 20.0) -> None:
    """Wait until somebody listens on a port."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < deadline, f"nobody listens on port {port}"
            time.sleep(0.02)
        else:
            return
