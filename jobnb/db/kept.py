"""`KeptConnection`: the one connection that the recorder's thread keeps, and how others close it under that thread."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from jobnb.db.deadline import Watchdog, cut
from jobnb.db.statement import deadline_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg


class KeptConnection:
    """A connection that is made when it is needed, and made anew when it broke. One thread uses it, any may close it.

    Args:
        connect: makes one, ready to be used.
        watchdog: cuts it when a statement takes too long.
    """

    def __init__(self, connect: Callable[[], psycopg.Connection[Any]], watchdog: Watchdog) -> None:
        self._connect, self._watchdog = connect, watchdog
        self._connection: psycopg.Connection[Any] | None = None
        self._in_use = threading.Lock()
        self._is_closed = False

    @property
    def in_use(self) -> bool:
        """True while a statement runs."""
        return self._in_use.locked()

    def run(self, statement: Callable[..., None], *texts: str) -> None:
        """Run a statement of the recorder.

        A connection that broke while nobody looked fails once, and is made anew the next time.
        """
        with self._in_use:
            try:
                if self._connection is None or self._connection.closed:
                    self._connection = self._connect()
                with self._watchdog.limit(self._connection, deadline_of(statement)):
                    statement(self._connection, *texts)
            finally:
                if self._is_closed:
                    self._free()

    def drop(self) -> None:
        """Close it, from the thread that uses it; the next statement makes a new one."""
        self._free()

    def close(self) -> None:
        """Close it for good, from any thread."""
        self._is_closed = True
        if self._in_use.acquire(blocking=False):
            self._free()
            self._in_use.release()
        elif self._connection is not None:
            # its thread is in a call into libpq: freeing the connection under it crashes the process
            cut(self._connection)

    def forget(self) -> None:
        """After a fork, in the child: it is the parent's, as psycopg knows."""
        self._connection, self._in_use = None, threading.Lock()

    def _free(self) -> None:
        if self._connection is not None:
            self._connection.close()
