"""`Database`: the two doors, `run` and `run_async`, through which every query goes.

One synchronous engine serves both: the async door runs the query in a small pool of threads. That is faster than an
`AsyncEngine`, has no loop of its own to belong to, and leaves one set of timeouts. All settings work behind PgBouncer
in transaction mode: no prepared statements, no SET, no startup options, no session locks.
"""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, cast

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, DisconnectionError, InvalidRequestError

from jobnb.db import schema
from jobnb.db.connecting import connect_to_embedded, connect_to_url, read_odd_times
from jobnb.db.deadline import Watchdog
from jobnb.db.embedded import EmbeddedServer, embedded_server
from jobnb.db.kept import KeptConnection
from jobnb.db.statement import deadline_of, needs_transaction
from jobnb.db.translate import translated
from jobnb.db.urls import DatabaseURL, normalize
from jobnb.errors import DatabaseUnavailable, PermissionDenied, SchemaMismatch
from jobnb.threads import DaemonPool

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

    from jobnb.settings import Settings

P = ParamSpec("P")
R = TypeVar("R")

BROKE_AT_ONCE = 2.0
"""Seconds within which a connection has to break for its query to be run again; later the caller has waited enough."""


class Database:
    """One PostgreSQL database: the embedded server's, or the one a URL names. Opens nothing until it is used.

    Safe to use from any thread. The first use connects, and makes or upgrades the tables.

    Args:
        settings: which server, and where the embedded one lives.
        visiting: for a tool that looks on: it makes no tables in a server that somebody else runs, and does not ask
            idle connections first whether they still work, as it looks again anyway.

    Raises:
        ConfigurationError: the URL can't be right.
    """

    def __init__(self, settings: Settings, *, visiting: bool = False) -> None:
        self.url: DatabaseURL | None = None if settings.database_url is None else normalize(settings.database_url)
        self.embedded: EmbeddedServer | None = embedded_server(settings.home) if self.url is None else None
        self._watchdog = Watchdog()
        # readers find out whether an idle connection still works; the writer retries anyway
        self._readers = self._engine(pool_size=3, max_overflow=5, pool_recycle=240, pool_timeout=10)
        if not visiting:
            event.listen(self._readers, "checkout", self._ping)
        self._may_make_tables = self.embedded is not None or not visiting
        self._writing = KeptConnection(self._connect_to_write, self._watchdog)
        self._threads: DaemonPool[Callable[[], object]] = DaemonPool(4, "jobnb-db", lambda call: call())
        self._schema_checked = self._closed = False
        self._opening = threading.Lock()
        self._opener: int | None = None

    def __repr__(self) -> str:
        return f"Database({self.where})"

    @property
    def where(self) -> str:
        """The server in words, without its password."""
        return self.url.display if self.url else f"the embedded server in {self.embedded and self.embedded.home}"

    @property
    def sleeps(self) -> bool:
        """True if the server is one that falls asleep when nobody uses it, and is paid for by the hour otherwise."""
        return self.url is not None and (self.url.host or "").endswith(".neon.tech")

    def redact(self, text: str) -> str:
        """`text` with this database's password taken out."""
        return self.url.redact(text) if self.url else text

    def run(self, query: Callable[Concatenate[Connection, P], R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a query function on a connection and return its result.

        Raises:
            DatabaseUnavailable: the server can't be reached, or did not answer before the query's deadline.
            DatabaseError: the server refused; its children say more.
        """
        self.open()
        return self._run(self._readers, query, *args, **kwargs)

    async def run_async(
        self, query: Callable[Concatenate[Connection, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run a query function in a thread, from any event loop; a cancelled `await` may still have written."""
        return await self.in_thread(functools.partial(self.run, query, *args, **kwargs))

    async def in_thread(self, call: Callable[[], R]) -> R:
        """Await a blocking call about this database in one of its threads."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[R] = loop.create_future()

        def work() -> None:
            try:
                deliver = functools.partial(_set_result, answer, call())
            except BaseException as error:  # handed to the awaiting task, which raises it
                deliver = functools.partial(_set_exception, answer, error)
            if not loop.is_closed():
                loop.call_soon_threadsafe(deliver)

        self._threads.add(work)
        return await answer

    def in_background(self, call: Callable[[], object]) -> None:
        """Run a blocking call about this database in one of its threads; it should raise nothing."""
        self._threads.add(call)

    def write(self, statement: Callable[..., None], *texts: str) -> None:
        """Run a statement of the recorder on the connection that its one thread keeps; errors are those of `run`.

        A connection that broke while nobody looked fails once, and is made anew the next time.
        """
        self.open()
        try:
            with translated(self.where, self.redact):
                self._writing.run(statement, *texts)
        except DatabaseUnavailable:
            # after a failover it may lead to a server that only reads, for as long as it is kept
            self._writing.drop()
            raise

    def _connect_to_write(self) -> psycopg.Connection[Any]:
        connection = self._connect()
        connection.autocommit = True
        # never elsewhere: a pooler hands the next transaction to a session that knows nothing of it
        connection.prepare_threshold = None if self.embedded is None else 0
        return connection

    def write_apart(self, statement: Callable[..., None], *texts: str) -> None:
        """Run a statement of the recorder for somebody else than its thread; errors are those of `run`."""
        self.run(_on_driver, statement, *texts)

    def open(self) -> None:
        """Connect and bring the tables up to date, once; later calls return at once.

        Raises:
            DatabaseUnavailable: no connection.
            SchemaMismatch: the tables were made by a newer jobnb, or are missing where a visitor makes none.
            PermissionDenied: the tables are missing or older, and this role may not make them.
        """
        if self._schema_checked:
            return
        if self._opener == threading.get_ident():
            # a destructor or a signal handler, run in the midst of it: it would wait for itself
            raise DatabaseUnavailable(f"{self.where} is only just being connected to, by this very thread: ask later")
        with self._opening:
            self._opener = threading.get_ident()
            try:
                if not self._schema_checked:
                    if not schema.check(self._run(self._readers, schema.version)):
                        self._make_tables()
                    self._schema_checked = True
            finally:
                self._opener = None

    def _make_tables(self) -> None:
        if not self._may_make_tables:
            raise SchemaMismatch(
                f"{self.where} has no tables of jobnb, or older ones: submit a job there, or run `jobnb init-db` with "
                "the same DATABASE_URL"
            )
        try:
            self._run(self._readers, schema.init_database)
        except PermissionDenied as error:
            raise PermissionDenied(
                f"jobnb's tables in {self.where} are missing, or older than this jobnb, and this role may not make "
                f"them: have their owner run `jobnb init-db` ({error})",
                error.sqlstate,
            ) from None

    def ping(self) -> bool:
        """True if the server answers a trivial query now."""
        try:
            self._run(self._readers, _select_one)
        except DatabaseUnavailable:
            return False
        return True

    def close(self, *, is_away: bool = False) -> None:
        """Close the idle connections and leave the embedded server, which stops if nobody else uses it.

        Args:
            is_away: this process ends, and the server did not answer lately: it is left as it is, because stopping it
                might take long.
        """
        self._closed = True
        self._readers.dispose()
        self._writing.close()
        if self.embedded is not None:
            self.embedded.leave_running() if is_away else self.embedded.release(self)

    def forget(self) -> None:
        """After a fork, in the child: drop the parent's connections without closing them."""
        self._readers.dispose(close=False)
        self._writing.forget()

    def _run(
        self,
        engine: Engine,
        query: Callable[Concatenate[Connection, P], R],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        began = time.monotonic()
        with translated(self.where, self.redact):
            if needs_transaction(query):
                return self._once(engine.execution_options(isolation_level="READ COMMITTED"), query, *args, **kwargs)
            try:
                return self._once(engine, query, *args, **kwargs)
            except DBAPIError as error:
                if not error.connection_invalidated or time.monotonic() - began > BROKE_AT_ONCE:
                    raise
            return self._once(engine, query, *args, **kwargs)

    def _once(
        self,
        engine: Engine,
        query: Callable[Concatenate[Connection, P], R],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        with _checked_out(engine) as conn:
            try:
                with self._watchdog.limit(_driver(conn), deadline_of(query)):
                    result = query(conn, *args, **kwargs)
                    conn.commit()
            except DBAPIError as error:
                if getattr(error.orig, "sqlstate", None) == "25006":
                    conn.invalidate()  # after a failover it leads to a server that only reads
                raise
            return result

    def _engine(self, **options: Any) -> Engine:
        engine = create_engine(
            "postgresql+psycopg://",
            creator=self._connect,
            isolation_level="AUTOCOMMIT",
            hide_parameters=True,
            use_native_hstore=False,
            **options,
        )
        event.listen(engine, "connect", _prepare)
        event.listen(engine, "checkin", self._close_late)
        return engine

    def _connect(self) -> psycopg.Connection[Any]:
        with translated(self.where, self.redact):
            if self.embedded is not None:
                self.embedded.ensure_running(self)
                return connect_to_embedded(self.embedded)
            assert self.url is not None
            # no explanations when the writer tries again and again: they would double the connections
            return connect_to_url(self.url, explain=not self._schema_checked)

    def _close_late(self, connection: psycopg.Connection[Any] | None, record: ConnectionPoolEntry) -> None:
        """Close a connection that was in use while the others were closed: it has no pool to go back to."""
        del record
        if self._closed and connection is not None:
            connection.close()

    def _ping(self, connection: DBAPIConnection, record: ConnectionPoolEntry, proxy: PoolProxiedConnection) -> None:
        del record, proxy
        try:
            with self._watchdog.limit(connection, 5.0):  # type: ignore[arg-type] # it is psycopg's
                connection.cursor().execute("SELECT 1")
                connection.rollback()
        except psycopg.Error as error:
            raise DisconnectionError from error


def _checked_out(engine: Engine) -> Connection:
    try:
        return engine.connect()
    except InvalidRequestError:
        # "This connection is closed": another thread dropped it just when the pool handed it out
        return engine.connect()


def _driver(conn: Connection) -> psycopg.Connection[Any]:
    return cast("psycopg.Connection[Any]", conn.connection.driver_connection)


def _on_driver(conn: Connection, statement: Callable[..., None], *texts: str) -> None:
    statement(_driver(conn), *texts)


def _select_one(conn: Connection) -> None:
    conn.exec_driver_sql("SELECT 1")


def _set_result(answer: asyncio.Future[R], result: R) -> None:
    if not answer.done():
        answer.set_result(result)


def _set_exception(answer: asyncio.Future[R], error: BaseException) -> None:
    if not answer.done():
        answer.set_exception(error)


def _prepare(connection: psycopg.Connection[Any], record: ConnectionPoolEntry) -> None:
    del record
    read_odd_times(connection)
