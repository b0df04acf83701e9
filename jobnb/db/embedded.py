"""`EmbeddedServer`: a PostgreSQL of the user's own that starts by itself and stops with its last client.

One server serves all processes that share a `JOBNB_HOME`. Each holds a shared lock while it is a client; whoever
leaves and then gets that lock alone was the last one, and stops the server. Locks die with their owner, so a client
that was killed counts no more. Starting and stopping happen under a second lock, one process at a time.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from jobnb.db import launcher
from jobnb.db.folders import OTHER_DATABASE_ADVICE, Folders, locate
from jobnb.errors import ConfigurationError, DatabaseUnavailable
from jobnb.locks import FileLock

if TYPE_CHECKING:
    from pathlib import Path

LOCK_SECONDS = 150.0
"""How long to wait for another process that starts or stops the server."""


class ServerStatus(NamedTuple):
    """What can be told of a server without starting it.

    Attributes:
        data: its data folder.
        pid: its process id; None if it does not run.
        version: the major version that made the data; None if there is none yet.
    """

    data: Path
    pid: int | None
    version: str | None


class EmbeddedServer:
    """The server of one `JOBNB_HOME`. Touches nothing until `ensure_running`; safe to use from any thread.

    Args:
        home: `JOBNB_HOME`; made with mode 0700 if absent.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self._lock = threading.Lock()
        self._folders: Folders | None = None
        self._socket_folder: Path | None = None
        self._start_lock: FileLock | None = None
        self._client_lock: FileLock | None = None
        self._owner = os.getpid()

    def conninfo(self) -> dict[str, Any]:
        """What psycopg needs to connect; valid after `ensure_running`."""
        return {"host": str(self._socket_folder), "user": launcher.ROLE, "dbname": launcher.DATABASE}

    def ensure_running(self) -> None:
        """Start the server, or join the one that runs; start it again if it was killed.

        Raises:
            ConfigurationError: it can't run here; the message says why and what to do.
            DatabaseUnavailable: it did not start.
        """
        with self._lock:
            self._check_owner()
            if self._client_lock is not None and self._folders and launcher.running_pid(self._folders) is not None:
                return
            try:
                self._join()
            except OSError as error:
                if isinstance(error, DatabaseUnavailable):
                    raise
                raise ConfigurationError(
                    f"the embedded PostgreSQL can't use {self.home}: {error.strerror or error}; set JOBNB_HOME to a "
                    f"folder of your own, {OTHER_DATABASE_ADVICE}"
                ) from None

    def release(self) -> None:
        """This process is no longer a client; the last client stops the server. Safe to call at any time."""
        with self._lock:
            if self._client_lock is None or self._owner != os.getpid():
                return
            assert self._folders is not None
            assert self._start_lock is not None
            clients, self._client_lock = self._client_lock, None
            if self._start_lock.exclusive(launcher.STOP_SECONDS):
                clients.unlock()
                if clients.try_exclusive():
                    launcher.stop(self._folders)
                clients.close()
                self._start_lock.unlock()
            else:
                clients.close()

    def leave_running(self) -> None:
        """This process is no longer a client, and the server goes on: for a tool that connects next.

        It stops when a later client was the last one.
        """
        with self._lock:
            if self._client_lock is not None and self._owner == os.getpid():
                self._client_lock.close()
                self._client_lock = None

    def status(self) -> ServerStatus:
        """Look, without starting anything."""
        folders = locate(self.home)
        version = folders.data / "PG_VERSION"
        try:
            found = version.read_text().strip()
        except OSError:
            found = None
        return ServerStatus(folders.data, launcher.running_pid(folders), found)

    def _check_owner(self) -> None:
        if self._owner != os.getpid():
            # a forked child holds none of its parent's locks: it starts from nothing
            self._client_lock = self._start_lock = None
            self._owner = os.getpid()

    def _join(self) -> None:
        folders = self._folders = locate(self.home)
        folders.make()
        if self._start_lock is None:
            self._start_lock = FileLock(folders.base / "start.lock")
        if not self._start_lock.exclusive(LOCK_SECONDS):
            raise DatabaseUnavailable(
                f"another process has been starting or stopping the embedded PostgreSQL in {self.home} for "
                f"{LOCK_SECONDS:g} s: look at {folders.log}"
            )
        try:
            if self._client_lock is None:
                clients = FileLock(folders.base / "clients.lock")
                clients.try_shared()
                self._client_lock = clients
            folders.make_area()
            self._socket_folder = folders.make_socket_folder()
            launcher.make_cluster(folders)
            if launcher.running_pid(folders) is None or not self._still_answers():
                launcher.start(folders, self._socket_folder)
        finally:
            self._start_lock.unlock()

    def _still_answers(self) -> bool:
        assert self._folders is not None
        assert self._socket_folder is not None
        if launcher.answers(self._socket_folder):
            return True
        # it may be starting, stopping or frozen; only a process that ends makes room for a new one
        if not launcher.stop(self._folders):
            raise DatabaseUnavailable(
                f"the embedded PostgreSQL in {self.home} runs but does not answer: {launcher.log_tail(self._folders)}"
            )
        return False


def embedded_server(home: Path) -> EmbeddedServer:
    """This process's object for the server of `home`; the same one each time, reloading of modules included."""
    servers: dict[str, EmbeddedServer] = sys.__dict__.setdefault("_jobnb_servers", {})
    return servers.setdefault(str(home), EmbeddedServer(home))
