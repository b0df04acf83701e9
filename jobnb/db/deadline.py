"""Deadlines for database connections: one thread that cuts a connection whose time is up.

A server that is stopped still acknowledges TCP packets, so neither keepalives nor `tcp_user_timeout` end a wait for
it (measured); and a query timeout on the server needs a server that runs. Shutting the socket down from another
thread wakes the waiting one at once.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import psycopg


class Watchdog:
    """Cuts connections whose deadline has passed. Its thread starts with the first deadline; it is a daemon."""

    TICK = 0.25
    """Seconds between two looks: how late a cut may come."""

    def __init__(self) -> None:
        self._watched: dict[int, tuple[float, Any]] = {}
        self._awake = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    @contextmanager
    def limit(self, connection: psycopg.Connection[Any], seconds: float) -> Iterator[None]:
        """Cut `connection` if the block takes more than `seconds`; the block then sees a broken connection."""
        key = id(connection)
        self._watched[key] = (time.monotonic() + seconds, connection)
        self._start()
        try:
            yield
        finally:
            self._watched.pop(key, None)

    def _start(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            with self._lock:
                if self._thread is None or not self._thread.is_alive():
                    self._thread = threading.Thread(target=self._watch, name="jobnb-deadlines", daemon=True)
                    self._thread.start()
        if not self._awake.is_set():
            self._awake.set()

    def _watch(self) -> None:
        while True:
            self._awake.wait()
            time.sleep(self.TICK)
            now = time.monotonic()
            for key, (deadline, connection) in list(self._watched.items()):
                if now > deadline:
                    self._watched.pop(key, None)
                    cut(connection)
            if not self._watched:
                self._awake.clear()


def cut(connection: psycopg.Connection[Any]) -> None:
    """Shut the socket of a connection down: whoever waits for it in another thread sees it broken, at once."""
    try:
        duplicate = socket.socket(fileno=os.dup(connection.fileno()))
    except Exception:
        return
    with duplicate:
        try:
            duplicate.shutdown(socket.SHUT_RDWR)
        except OSError:
            return


def connect_within(seconds: float, connect: Callable[[], Any]) -> Any:
    """Call `connect` and return its connection, waiting at most `seconds` in all.

    `connect_timeout` counts for each address of a host, and looking the host up has no limit at all; so the call runs
    in a thread of its own. A connection that comes late is closed.

    Raises:
        TimeoutError: no connection in time.
    """
    answer: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
    late = threading.Event()

    def call() -> None:
        try:
            connection = connect()
        except BaseException as error:
            answer.put((None, error))
            return
        if late.is_set():
            connection.close()
        else:
            answer.put((connection, None))

    threading.Thread(target=call, name="jobnb-connect", daemon=True).start()
    try:
        connection, error = answer.get(timeout=seconds)
    except Empty:
        late.set()
        raise TimeoutError(f"no connection within {seconds:g} s") from None
    if error is not None:
        raise error
    return connection
