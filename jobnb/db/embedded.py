"""`EmbeddedServer`: a PostgreSQL of the user's own that starts by itself and stops with its last client.

One server serves all processes that share a `JOBNB_HOME`. Each holds a shared lock while it is a client; whoever
leaves and then gets that lock alone was the last one, and stops the server. Locks die with their owner, so a client
that was killed counts no more; if it was the last one, the watcher stops the server. Starting and stopping happen under
a second lock, one process at a time.
"""

from __future__ import annotations

import os
import sys
import threading
import weakref
from pathlib import Path
from typing import Any, NamedTuple

from jobnb.db import launcher, watcher
from jobnb.db.cluster import DATABASE, ROLE, make_cluster
from jobnb.db.folders import OTHER_DATABASE_ADVICE, Folders, locate
from jobnb.db.isolation import isolated
from jobnb.db.postmaster import find
from jobnb.errors import ConfigurationError, DatabaseUnavailable
from jobnb.locks import FileLock

WATCHER_SECONDS = 2.0
"""How long to wait for a watcher that has just found that there was no client; it takes a moment."""


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

    Of two objects for one home in one process, the first to be released drops the locks of the other: use
    `embedded_server`.

    Args:
        home: `JOBNB_HOME`; made with mode 0700 if absent.
    """

    def __init__(self, home: Path) -> None:
        self.home = _resolved(home)
        self._lock = threading.Lock()
        self._folders: Folders | None = None
        self._socket_folder: Path | None = None
        self._start_lock: FileLock | None = None
        self._client_lock: FileLock | None = None
        self._life_lock: FileLock | None = None
        self._users: weakref.WeakSet[Any] = weakref.WeakSet()
        _after_fork_in_child(self)

    def conninfo(self) -> dict[str, Any]:
        """What psycopg needs to connect, whatever the environment says; valid after `ensure_running`."""
        account = self._folders.account.name if self._folders else ""
        return {"host": str(self._socket_folder), "user": ROLE, "dbname": DATABASE, **isolated(account)}

    def ensure_running(self, user: object = None) -> None:
        """Start the server, or join the one that runs; start it again if it was killed.

        Args:
            user: who in this process needs it, until it is given to `release` or is no more.

        Raises:
            ConfigurationError: it can't run here; the message says why and what to do.
            DatabaseUnavailable: it did not start.
        """
        with self._lock:
            self._users.add(user or self)
            launcher.reap()
            if self._is_joined():
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

    def release(self, user: object = None) -> None:
        """With its last user, this process is no longer a client; the last client stops the server.

        Safe to call at any time.
        """
        with self._lock:
            self._users.discard(user or self)
            if self._users or self._client_lock is None:
                return
            assert self._folders is not None
            assert self._start_lock is not None
            try:
                if self._start_lock.exclusive(launcher.STOP_SECONDS):
                    self._client_lock.unlock()
                    if self._client_lock.try_exclusive():
                        launcher.stop(self._folders)
            finally:
                self._drop_locks()
                self._start_lock.unlock()

    def leave_running(self) -> None:
        """This process is no longer a client, and the server goes on: for a tool that connects next.

        It stops when a later client was the last one.
        """
        with self._lock:
            if self._life_lock is not None:
                self._life_lock.write(watcher.KEPT)
            self._drop_locks()

    def status(self) -> ServerStatus:
        """Look, without starting anything."""
        folders = locate(self.home)
        version = folders.data / "PG_VERSION"
        try:
            found = version.read_text().strip()
        except OSError:
            found = None
        server = find(folders)
        return ServerStatus(folders.data, server.pid if server else None, found)

    def _is_joined(self) -> bool:
        if self._client_lock is None or self._folders is None:
            return False
        server = find(self._folders)
        # it may have been restarted elsewhere, be on its way out, or have lost its socket
        return (
            server is not None
            and server.status == "ready"
            and server.socket_folder == self._socket_folder
            and server.has_socket
        )

    def _join(self) -> None:
        folders = self._folders = locate(self.home)
        folders.make()
        if self._start_lock is None:
            self._start_lock = FileLock(folders.base / watcher.START_LOCK)
        if not self._start_lock.exclusive(watcher.LOCK_SECONDS):
            raise DatabaseUnavailable(
                f"another process has been starting or stopping the embedded PostgreSQL in {self.home} for "
                f"{watcher.LOCK_SECONDS:g} s: look at {folders.log}"
            )
        try:
            self._take_locks(folders)
            folders.make_area()
            make_cluster(folders)
            self._socket_folder = launcher.join_or_start(folders)
            watcher.watch(folders)
        finally:
            self._start_lock.unlock()

    def _take_locks(self, folders: Folders) -> None:
        if self._client_lock is None:
            self._client_lock = FileLock(folders.base / watcher.CLIENTS_LOCK)
            self._client_lock.shared(WATCHER_SECONDS)
        if self._life_lock is None:
            self._life_lock = FileLock(folders.base / watcher.LIVES_LOCK)
            self._life_lock.shared(WATCHER_SECONDS)
            self._life_lock.write("")

    def _drop_locks(self) -> None:
        for lock in (self._client_lock, self._life_lock):
            if lock is not None:
                lock.close()
        self._client_lock = self._life_lock = None

    def _forget(self) -> None:
        """In a forked child: it holds none of its parent's locks, and a thread it lacks may hold the one here."""
        self._lock = threading.Lock()
        self._drop_locks()
        if self._start_lock is not None:
            self._start_lock.close()
        self._start_lock = None
        self._users.clear()


def embedded_server(home: Path) -> EmbeddedServer:
    """This process's object for the server of `home`; the same one each time, reloading of modules included."""
    servers: dict[str, EmbeddedServer] = sys.__dict__.setdefault("_jobnb_servers", {})
    key = str(_resolved(home))
    return servers.get(key) or servers.setdefault(key, EmbeddedServer(home))


def _resolved(home: Path) -> Path:
    return Path(os.path.realpath(home.expanduser()))


def _after_fork_in_child(server: EmbeddedServer) -> None:
    forget = weakref.WeakMethod(server._forget)  # noqa: SLF001 - a hook lives for ever, the object need not

    def forget_if_alive() -> None:
        if method := forget():
            method()

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=forget_if_alive)
