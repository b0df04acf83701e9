"""`Link`: the one object that talks to the database, knows how that is going, and tries again by itself."""

from __future__ import annotations

import logging
import random
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from jobnb.db.database import Database
from jobnb.db.queries import server
from jobnb.db.statement import deadline_of
from jobnb.errors import (
    ConfigurationError,
    DatabaseError,
    DatabaseUnavailable,
    JobnbError,
    PermissionDenied,
    SchemaMismatch,
)
from jobnb.recovery import recovery_of
from monitor.model import Access, LinkState, LinkStatus, Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection

    from jobnb.settings import Settings

P = ParamSpec("P")
R = TypeVar("R")

_log = logging.getLogger("jobnb")

SLOW_SECONDS = 1.0
PROMPT_SECONDS = 5.0
"""A query with a longer deadline may take its time, and says nothing about the link."""
FIRST_PAUSE, LONGEST_PAUSE, REFUSED_PAUSE = 0.1, 0.8, 15.0
"""Seconds between attempts. One a second costs nobody anything, and a monitor is back within 1.5 s of its server."""
WRONG_LOGIN = ("28P01", "28000", "3D000")
"""PostgreSQL's codes for a wrong password, a role that may not log in, and a database that is not there."""


class Link:
    """Runs queries with deadlines. While the database is away it fails at once, and tries again with pauses.

    Safe to use from any thread; a failure in one is known to all.

    Args:
        settings: which database.
        read_only: allow no action.
        recovers: close the jobs of processes that died, as every program of jobnb does.

    Raises:
        ConfigurationError: the address can't be right.
    """

    def __init__(self, settings: Settings, *, read_only: bool = False, recovers: bool = True) -> None:
        self.database = Database(settings, visiting=True)
        self._read_only = read_only
        self._recovery = recovery_of(settings, self.database) if recovers else None
        self._may_recover = False
        self._lock = threading.Lock()
        self._running: dict[int, float] = {}
        self._succeeded: float | None = None
        self._latency: float | None = None
        self._error: JobnbError | None = None
        self._failures = 0
        self._next_attempt = 0.0
        self._attempting = False
        self._known: tuple[Server, Access] | None = None
        self._clock: tuple[datetime, float] | None = None

    def run(self, query: Callable[Concatenate[Connection, P], R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a query function; one that only reads is run again if its connection broke while nobody looked.

        Raises:
            DatabaseUnavailable: the database is away; at once while it is known to be.
            DatabaseError: it refused.
        """
        with self._attempt(), self._timed(deadline_of(query) <= PROMPT_SECONDS):
            if self._known is None:
                self._known = self._examine()
            self._recover()
            return self.database.run(query, *args, **kwargs)

    def state(self) -> LinkState:
        """How it is going; touches no network."""
        now = time.monotonic()
        server, access = self._known or (Server(self.database.where), LinkState.access)
        oldest = min(list(self._running.values()), default=now)
        error = self._error
        return LinkState(
            status=self._status(now - oldest),
            age=None if self._succeeded is None else now - self._succeeded,
            message="" if error is None else str(error),
            retry_in=None if error is None or self._attempting else max(0.0, self._next_attempt - now),
            server=server,
            access=access,
            latency=self._latency,
        )

    @property
    def access(self) -> Access:
        """What may be done, as far as it is known."""
        return self._known[1] if self._known else LinkState.access

    def set_clock(self, server_time: datetime) -> None:
        """Note the server's time, just read."""
        self._clock = (server_time, time.monotonic())

    def now(self) -> datetime:
        """The server's time, as well as it is known."""
        if self._clock is None:
            return datetime.now(UTC)
        server_time, read_at = self._clock
        return server_time + timedelta(seconds=time.monotonic() - read_at)

    def reconnect(self) -> None:
        """Let the next query try at once."""
        self._next_attempt = 0.0

    def close(self) -> None:
        """Give up all connections."""
        self.database.close()

    def _status(self, waiting: float) -> LinkStatus:
        if self._error is not None:
            return LinkStatus.REFUSED if _is_refusal(self._error) else LinkStatus.DOWN
        if waiting > SLOW_SECONDS:
            return LinkStatus.SLOW
        return LinkStatus.CONNECTING if self._succeeded is None else LinkStatus.UP

    @contextmanager
    def _attempt(self) -> Iterator[None]:
        """Fail at once while the database is away and no attempt is due; else learn from what happens in the block."""
        with self._lock:
            if self._error is not None:
                pause = self._next_attempt - time.monotonic()
                if self._attempting or pause > 0:
                    raise type(self._error)(*self._error.args)
                self._attempting = True
        try:
            yield
        except JobnbError as error:
            self._failed(error)
            raise
        else:
            self._error, self._failures = None, 0
            self._succeeded = time.monotonic()
        finally:
            self._attempting = False

    def _failed(self, error: JobnbError) -> None:
        refused = _is_refusal(error, at_start=self._known is None)
        if not refused and (not isinstance(error, DatabaseUnavailable) or _is_about_query(error)):
            return  # the server is there
        self._known = None
        self._error = error
        self._failures += 1
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(self._failures - 1, 10)) * random.uniform(0.8, 1.2)
        self._next_attempt = time.monotonic() + (REFUSED_PAUSE if refused else pause)

    @contextmanager
    def _timed(self, is_prompt: bool) -> Iterator[None]:
        if not is_prompt:
            yield
            return
        key, began = threading.get_ident(), time.monotonic()
        self._running[key] = began
        try:
            yield
            self._latency = time.monotonic() - began
        finally:
            self._running.pop(key, None)

    def _recover(self) -> None:
        """Close what dead processes left, about once a second; a look that finds nothing asks only the file system."""
        if self._recovery is None or not self._may_recover:
            return
        try:
            self._recovery.look()
            if self.database.embedded is None:
                self._recovery.observe()
        except JobnbError as error:
            _log.debug("jobnb: the monitor could not close the jobs of dead processes now: %s", error)

    def _examine(self) -> tuple[Server, Access]:
        """Look at the other side, once a connection: it may be another server than the last time."""
        found = self.database.run(server.facts)
        self._may_recover = not (found.is_standby or found.is_read_only)
        known = Server(
            where=self.database.where,
            version=found.version,
            database=found.database,
            role=found.role,
            is_embedded=self.database.url is None,
            is_standby=found.is_standby,
            has_pooler=found.has_pooler,
            sleeps=self.database.sleeps,
        )
        return known, self._access(found)

    def _access(self, found: server.ServerFacts) -> Access:
        if self._read_only:
            return _nothing("this monitor was started with --read-only")
        if found.is_standby:
            return _nothing("this server is a standby: a read-only copy; connect to the primary to change jobs")
        if found.is_read_only:
            return _nothing(f"role {found.role} has default_transaction_read_only set")
        lacking = [
            name
            for name, may in (("UPDATE", found.may_update), ("INSERT", found.may_insert), ("DELETE", found.may_delete))
            if not may
        ]
        reason = f"role {found.role} lacks {', '.join(lacking)} on the table jobs; ask its owner for GRANT"
        return Access(found.may_update, found.may_insert, found.may_delete, reason if lacking else "")


def _nothing(reason: str) -> Access:
    return Access(may_cancel=False, may_retry=False, may_delete=False, reason=reason)


def _is_about_query(error: DatabaseUnavailable) -> bool:
    """True if the server gave up one query, because of another one or because it took too long."""
    return error.sqlstate is not None and (error.sqlstate[:2] in ("40", "55") or error.sqlstate == "57014")


def _is_refusal(error: JobnbError, *, at_start: bool = True) -> bool:
    """True if nothing will work: the login, the database or its tables are wrong."""
    if isinstance(error, (SchemaMismatch, ConfigurationError)):
        return True
    if isinstance(error, PermissionDenied):
        return at_start  # later on it is one statement that is not allowed
    return isinstance(error, DatabaseError) and error.sqlstate in WRONG_LOGIN
