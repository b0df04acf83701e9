"""`Recorder`: takes events from any thread, keeps them safe, and has them written in the order they came in."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from itertools import chain
from threading import get_ident
from typing import TYPE_CHECKING, NoReturn

from jobnb.errors import DatabaseUnavailable, ServiceClosed
from jobnb.recorder.batch import Pending
from jobnb.recorder.spool import Spool, sync_and_close
from jobnb.recorder.writer import Writer
from jobnb.threads import start_outside

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from jobnb.db.database import Database
    from jobnb.recorder.events import AnyEvent

_log = logging.getLogger("jobnb")

LINGER = 0.0005
"""Seconds to wait for the end of a job that was only just accepted: if it ends at once, it costs one row write."""
POURING = 50
"""So many jobs at once, and those that were only accepted wait up to `HOLD` for their end."""
HOLD = 1.0
PACE = 0.005
"""Seconds from one flush to the next while jobs pour in. A commit costs as much as the rows of fifty jobs; and a
thread that woke at every event would take turns with those that bring them, which costs more than the events."""
TRIM_BYTES = 1_000_000
GATHER = 0.002
"""Seconds between two writes to the spool while short jobs end one after the other."""


class Recorder:
    """The way of every automatic record into the database. Its thread starts with the first event.

    Args:
        database: where to.
        folder: for the spool and the dead-letter file.
        kernel_id: whose events these are.
        sweep: called before each flush; returns what is new about running jobs (starts, progress, log lines).
        on_problem: called with a job's id and words, when its record could not be stored whole.
        on_gather: called when an event waits for a common write; sees to it that `write_gathered` is called soon.
    """

    def __init__(
        self,
        database: Database,
        folder: Path,
        kernel_id: str,
        sweep: Callable[[], Sequence[AnyEvent]] = list,
        on_problem: Callable[[str, str], None] = lambda job_id, problem: None,  # noqa: ARG005
        on_gather: Callable[[], object] = lambda: None,
    ) -> None:
        self._database, self._sweep, self._on_gather = database, sweep, on_gather
        self._spool = Spool(folder, kernel_id)
        self.dead_letters = folder / f"{kernel_id}.dead"
        self._writer = Writer(database, self.dead_letters, self._keep_safe, on_problem)
        self._brought: deque[tuple[Sequence[AnyEvent], Callable[[], Callable[[], object] | None] | None]] = deque()
        self._batch: list[AnyEvent] = []
        self._incoming: deque[tuple[int, list[AnyEvent]]] = deque()
        self._followers: deque[Callable[[], Callable[[], object] | None]] = deque()
        self._taker: int | None = None
        self._pending = Pending()
        self._lock, self._starting = threading.Lock(), threading.Lock()
        self._sequence = self._handed = self._collected = self._written = 0
        self._hurry_until = 0
        self._held_since = 0.0
        self._is_pouring = False
        self._wake, self._is_asleep = threading.Event(), False
        self._gathers_until = 0.0
        self._progress = threading.Condition()
        self._thread: threading.Thread | None = None
        self._spool_failed = self._keep_spool = False
        self._closed = self._leaving = self._forked = False

    @property
    def waiting(self) -> int:
        """How many events are not in the database yet."""
        return self._sequence - self._written

    @property
    def outage(self) -> str | None:
        """Why the last flush failed; None while everything is well."""
        return self._writer.last_error

    def put(
        self, event: AnyEvent, then: Callable[[], Callable[[], object] | None] | None = None, *, may_wait: bool = False
    ) -> None:
        """Record one event without waiting for other threads, and call `then` when it is in the spool.

        Threads combine: whoever writes to the spool at the moment takes along what the others have brought meanwhile,
        and calls their `then` too. A thread of a job hardly ever waits for another one's write. After an interrupt
        (see `mend`) `then` may be called twice.

        Args:
            event: what happened.
            then: called when it is safe. What takes longer, the user's own code above all, it returns: that is called
                when all whose events became safe with this one have been told.
            may_wait: let it wait for a write that takes many along, milliseconds later: until then nobody is told
                that it happened. A write costs as much as a short job.

        Raises:
            ServiceClosed: after `close`, or in a forked child, which must not write as its parent.
        """
        if self._closed or self._forked:
            self._refuse()
        self._brought.append(((event,), then))
        if may_wait and time.monotonic() < self._gathers_until:
            self._on_gather()
            return
        while self._brought and not self._lock.locked():
            self._take_along()
        if may_wait:
            # the writing thread may wait for the interpreter; who gives it up just for a write takes it back before
            # another thread has woken, and so never lets it in (measured: for a tenth of a second)
            time.sleep(0)

    def put_all(self, events: Sequence[AnyEvent]) -> None:
        """Record events; returns when they are in the spool, microseconds later.

        Raises:
            ServiceClosed: after `close`, or in a forked child.
        """
        if self._closed or self._forked:
            self._refuse()
        self._brought.append((events, None))
        self._take_along()
        if self._brought:
            self._combine()

    def mend(self) -> None:
        """Finish what an interrupted thread left undone.

        Ctrl-C raises KeyboardInterrupt between any two steps of the main thread, in the middle of `put_all` too, where
        that thread may have the events of others in its hands. So what is under way is kept in this object, each step
        can be done twice, and whoever is next to write goes on from there: the caretaker, in a fraction of a second.
        """
        self._take_along()
        self._combine()
        followers = [self._followers.popleft() for _ in range(len(self._followers))]
        try:
            later = [more for then in followers if (more := then()) is not None]
            for more in later:
                more()
        except BaseException:
            self._followers.extend(followers)
            raise

    def write_gathered(self) -> None:
        """Write what waits for others to come."""
        if self._brought:
            self._combine()

    def _combine(self) -> None:
        """Take along what was brought while nobody could; every holder of the lock does so after giving it back."""
        while self._brought and not self._lock.locked():
            self._take_along()

    def _take_along(self) -> None:  # noqa: C901 - twice for every job: what a call costs counts here
        """Write what all threads have brought, and tell them."""
        me = get_ident()
        if self._taker == me:
            return  # a destructor or a signal handler, run in the midst of this: its event is taken along
        followers: list[Callable[[], Callable[[], object] | None]] = []
        try:
            with self._lock:
                self._taker = me
                try:
                    batch, brought = self._batch, self._brought
                    while brought:
                        events, then = brought[0]
                        batch += events
                        if then is not None:
                            followers.append(then)
                        brought.popleft()
                    if batch:
                        self._hand_over(batch)
                finally:
                    self._taker = None
            if self._is_asleep and self._incoming:
                self._is_asleep = False
                self._wake.set()
            elif self._thread is None and self._incoming:
                self._start()
            later = [more for then in followers if (more := then()) is not None]
            for more in later:
                more()
        except BaseException:
            self._followers.extend(followers)
            raise

    def _hand_over(self, batch: list[AnyEvent]) -> None:
        """Give events to the spool and to the writing thread; with the lock held."""
        self._sequence = sequence = self._handed + len(batch)
        try:
            self._spool.append(batch, sequence)
        except Exception as error:
            # jobs matter more than their insurance: go on in memory
            self._tell_of_spool(error)
        self._incoming.append((sequence, batch))
        self._handed, self._batch = sequence, []
        self._gathers_until = time.monotonic() + GATHER

    def settle(self, timeout: float) -> None:
        """Wait until everything recorded so far, by any thread, is in the database.

        Raises:
            DatabaseUnavailable: it is not, after `timeout` seconds.
        """
        if self._forked or self._closed:
            return
        if events := self._sweep():
            self.put_all(events)
        # also to wait for whoever holds events in his hands
        self._take_along()
        self._combine()
        target = self._sequence
        me = get_ident()
        if self._written >= target or threading.current_thread() is self._thread or self._taker == me:
            return
        with self._progress:
            self._hurry_until = max(self._hurry_until, target)
            self._wake.set()
            if not self._progress.wait_for(lambda: self._written >= target, timeout):
                kept = "kept in memory only" if self._spool_failed else f"safe in {self._spool.path}"
                raise DatabaseUnavailable(
                    f"{self.waiting} records of this process are not in the database yet"
                    f" ({self.outage or 'it is slow'}); they are {kept}"
                )

    def close(self, timeout: float) -> bool:
        """Write what is waiting, for at most `timeout` seconds, and take nothing more.

        Returns:
            True if everything is in the database; False if the rest stays in the spool, for the next start.
        """
        if self._forked or self._closed:
            return True
        with contextlib.suppress(DatabaseUnavailable):
            self.settle(timeout)
        self.mend()
        self._closed = True
        self._writer.give_up()
        self._leaving = True
        self._wake.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(0.5)
        done = self.waiting == 0
        if not done:
            self._keep_safe()
        with self._lock:
            self._spool.close(is_empty=done and not self._keep_spool)
        return done

    def forget(self) -> None:
        """After a fork, in the child: events are the parent's business."""
        self._forked = True
        self._spool.forget()

    def _refuse(self) -> NoReturn:
        if self._forked:
            raise ServiceClosed("this process was forked from one that uses jobnb: start jobs in the parent")
        raise ServiceClosed("jobnb is closed in this process: it takes no more jobs")

    def _tell_of_spool(self, error: Exception) -> None:
        if not self._spool_failed:  # once
            _log.warning("jobnb: can't write the spool %s (%s): jobs go on, but what is not in the database yet would "
                         "be lost with this process", self._spool.path, error)  # fmt: skip
        self._spool_failed = True

    def _keep_safe(self) -> None:
        try:
            with self._lock:
                sealed = self._spool.seal(self._sequence)
            self._combine()
            if sealed is not None:
                sync_and_close(sealed)
        except OSError as error:
            _log.warning("jobnb: can't sync the spool %s: %s", self._spool.path, error)

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = start_outside(self._run, "jobnb-recorder")

    # -- what the one writing thread does

    def _run(self) -> None:
        while self._wait_for_events():
            began = time.monotonic()
            self._collect()
            self._linger()
            hold = self._may_hold
            if not (hold and self._pending.ended < POURING) and not self._send(ended_only=hold):
                return
            if self._is_pouring and (left := began + PACE - time.monotonic()) > 0:
                self._sleep(left, for_events=False)

    @property
    def _is_hurried(self) -> bool:
        return self._hurry_until > self._written

    @property
    def _may_hold(self) -> bool:
        return self._is_pouring and not self._is_hurried and time.monotonic() - self._held_since < HOLD

    def _wait_for_events(self) -> bool:
        """Wait for events, or until those that are held must go; False means the end."""
        if not (self._pending and self._is_hurried):
            self._sleep(HOLD if self._pending else None)
        return not self._leaving

    def _sleep(self, seconds: float | None, *, for_events: bool = True) -> None:
        """Sleep at most so long, or until somebody brings an event, or is in a hurry."""
        self._wake.clear()
        self._is_asleep = for_events
        if not (for_events and self._incoming) and not self._is_hurried and not self._leaving:
            self._wake.wait(seconds)
        self._is_asleep = False

    def _collect(self) -> None:
        """Collect what has come in until now; others may bring faster than one thread takes."""
        batches = [self._incoming.popleft() for _ in range(len(self._incoming))]
        if not self._pending:
            self._held_since = time.monotonic()
        self._pending.add(chain.from_iterable(batch for _, batch in batches))
        if batches:
            self._collected = batches[-1][0]
        self._is_pouring = self._pending.ended >= POURING or self._pending.without_row >= POURING

    def _linger(self) -> None:
        """Where few jobs come, wait a moment for their end, and look how far those have come that run."""
        until = time.monotonic() + LINGER
        while not (self._is_pouring or self._is_hurried) and self._pending.accepted_only:
            if (left := until - time.monotonic()) <= 0:
                break
            self._sleep(left)
            self._collect()
        # while they pour in, what began will have ended soon; the caretaker sweeps too
        if not self._is_pouring and (events := self._sweep()):
            self.put_all(events)
            self._collect()

    def _send(self, *, ended_only: bool) -> bool:
        """Send what is pending, as far as it is to be sent now; False if that was given up."""
        while batch := self._pending.take(ended_only=ended_only):
            try:
                if not self._writer.send(batch):
                    return False
            except Exception:
                # a fault of ours must not end the one thread that writes: the events stay in the spool
                _log.exception("jobnb: %s jobs could not be written; they stay in %s", len(batch), self._spool.path)
                self._keep_spool = True
        if not self._pending:
            with self._progress:
                self._written = self._collected
                self._progress.notify_all()
            # small amounts wait for the caretaker: emptying a file costs more than writing to it
            self.trim_spool(at_least=TRIM_BYTES)
        return True

    def keep_spool_in_place(self) -> None:
        """Bring the spool back if somebody deleted it."""
        with self._lock:
            try:
                if self._spool.restore():
                    _log.warning("jobnb: the spool %s was deleted; it is there again", self._spool.path)
            except OSError as error:
                self._tell_of_spool(error)
        self._combine()

    def trim_spool(self, *, at_least: int = 0) -> None:
        """Drop what the database has from the spool, if that is `at_least` so many bytes."""
        if self._keep_spool or self._spool.size <= at_least:
            return
        with self._lock, contextlib.suppress(OSError):
            self._taker = get_ident()
            try:
                self._spool.acknowledge(self._written, is_last=self._written == self._sequence)
            finally:
                self._taker = None
        self._combine()


def spool_folder(home: Path, database: Database) -> Path:
    """Where the events for a database wait: apart from those for other databases."""
    import hashlib

    key = "embedded" if database.url is None else hashlib.sha256(database.url.display.encode()).hexdigest()[:16]
    return home / "spool" / key
