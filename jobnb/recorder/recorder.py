"""`Recorder`: takes events from any thread, keeps them safe, and has them written in the order they came in."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from jobnb.errors import DatabaseUnavailable, ServiceClosed
from jobnb.recorder.batch import Pending
from jobnb.recorder.events import Event, EventKind
from jobnb.recorder.spool import Spool
from jobnb.recorder.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from jobnb.db.database import Database

_log = logging.getLogger("jobnb")

LINGER = 0.0001
"""Seconds of one wait for the end of a job that was only just accepted: if it ends at once, it costs one row write."""
LINGERS = 5
POURING = 50
"""So many ends at once, and jobs that were only accepted wait up to `HOLD` for their own."""
HOLD = 1.0
PACE = 0.005
"""Seconds between two flushes while jobs pour in: a commit costs as much as the rows of fifty jobs."""
TRIM_BYTES = 1_000_000


class Recorder:
    """The way of every automatic record into the database. Its thread starts with the first event.

    Args:
        database: where to.
        folder: for the spool and the dead-letter file.
        kernel_id: whose events these are.
        sweep: called before each flush; returns what is new about running jobs (starts, progress, log lines).
        on_problem: called with a job's id and words, when its record could not be stored whole.
    """

    def __init__(
        self,
        database: Database,
        folder: Path,
        kernel_id: str,
        sweep: Callable[[], list[Event]] = list,
        on_problem: Callable[[str, str], None] = lambda job_id, problem: None,  # noqa: ARG005
    ) -> None:
        self._database, self._sweep = database, sweep
        self._spool = Spool(folder, kernel_id)
        self.dead_letters = folder / f"{kernel_id}.dead"
        self._writer = Writer(database, self.dead_letters, self._keep_safe, on_problem)
        self._queue: SimpleQueue[list[Event] | None] = SimpleQueue()
        self._pending = Pending()
        self._brought: deque[tuple[Event, Callable[[], object] | None]] = deque()
        self._lock, self._starting = threading.Lock(), threading.Lock()
        self._sequence = self._collected = self._written = 0
        self._hurry_until = 0
        self._held_since = 0.0
        self._progress = threading.Condition()
        self._thread: threading.Thread | None = None
        self._spool_failed = self._keep_spool = False
        self._closed = False
        self._forked = False

    @property
    def waiting(self) -> int:
        """How many events are not in the database yet."""
        return self._sequence - self._written

    @property
    def outage(self) -> str | None:
        """Why the last flush failed; None while everything is well."""
        return self._writer.last_error

    def put(self, event: Event, then: Callable[[], object] | None = None) -> None:
        """Record one event without waiting for other threads, and call `then` when it is in the spool.

        Threads combine: whoever writes to the spool at the moment takes along what the others have brought meanwhile,
        and calls their `then` too. A thread of a job never waits for another one's write.

        Raises:
            ServiceClosed: after `close`, or in a forked child, which must not write as its parent.
        """
        self._check()
        self._brought.append((event, then))
        self._combine()

    def put_all(self, events: Sequence[Event]) -> None:
        """Record events; returns when they are in the spool, microseconds later.

        Raises:
            ServiceClosed: after `close`, or in a forked child.
        """
        self._check()
        for event in events:
            self._brought.append((event, None))
        self._lock.acquire()
        self._take_along()
        self._combine()

    def _combine(self) -> None:
        """Take along what was brought while nobody could; every holder of the lock does so after giving it back."""
        while self._brought and self._lock.acquire(blocking=False):
            self._take_along()

    def _take_along(self) -> None:
        """Write what all threads have brought; called with the lock held, which it gives back."""
        events: list[Event] = []
        followers = []
        try:
            while self._brought:
                event, then = self._brought.popleft()
                events.append(event)
                if then is not None:
                    followers.append(then)
            if events:
                self._sequence += len(events)
                if durable := [event for event in events if event[0] is not EventKind.PROGRESS]:
                    self._save(durable)
                self._queue.put(events)
        finally:
            self._lock.release()
        if self._thread is None and events:
            self._start()
        for then in followers:
            then()

    def settle(self, timeout: float) -> None:
        """Wait until everything recorded so far, by any thread, is in the database.

        Raises:
            DatabaseUnavailable: it is not, after `timeout` seconds.
        """
        if self._forked or self._closed:
            return
        if events := self._sweep():
            self.put_all(events)
        if self._brought:
            self._lock.acquire()
            self._take_along()
            self._combine()
        target = self._sequence
        if self._written >= target or threading.current_thread() is self._thread:
            return
        self._hurry_until = max(self._hurry_until, target)
        self._queue.put([])
        with self._progress:
            if not self._progress.wait_for(lambda: self._written >= target, timeout):
                raise DatabaseUnavailable(
                    f"{self.waiting} records of this process are not in the database yet"
                    f" ({self.outage or 'it is slow'}); they are safe in {self._spool.path}"
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
        self._closed = True
        self._writer.give_up()
        self._queue.put(None)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(0.5)
        done = self.waiting == 0
        with self._lock:
            if not done:
                self._keep_safe()
            self._spool.close(is_empty=done and not self._keep_spool)
        return done

    def forget(self) -> None:
        """After a fork, in the child: events are the parent's business."""
        self._forked = True
        self._spool.forget()

    def _check(self) -> None:
        if self._closed:
            raise ServiceClosed("jobnb is closed in this process: it takes no more jobs")
        if self._forked:
            raise ServiceClosed("this process was forked from one that uses jobnb: start jobs in the parent")

    def _save(self, events: Sequence[Event]) -> None:
        try:
            self._spool.append(events, self._sequence)
        except OSError as error:
            # jobs matter more than their insurance: go on in memory, and say so once
            if not self._spool_failed:
                _log.warning("jobnb: can't write the spool %s (%s): jobs go on, but what is not in the database yet "
                             "would be lost with this process", self._spool.path, error)  # fmt: skip
            self._spool_failed = True

    def _keep_safe(self) -> None:
        try:
            self._spool.sync()
        except OSError as error:
            _log.warning("jobnb: can't sync the spool %s: %s", self._spool.path, error)

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="jobnb-recorder", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while self._wait_for_more():
            self._linger()
            pouring = self._pending.ends >= POURING
            if not self._send(ended_only=self._may_hold):
                return
            if pouring and not self._is_hurried:
                time.sleep(PACE)

    @property
    def _is_hurried(self) -> bool:
        return self._hurry_until > self._written

    @property
    def _may_hold(self) -> bool:
        pouring = self._pending.ends >= POURING or self._pending.new >= POURING
        return pouring and not self._is_hurried and time.monotonic() - self._held_since < HOLD

    def _wait_for_more(self) -> bool:
        """Collect what waits in the queue, if only after a while; False means the end."""
        try:
            events = self._queue.get(timeout=HOLD if self._pending else None)
        except Empty:
            return True
        return self._collect(events) and self._collect_waiting()

    def _collect_waiting(self) -> bool:
        """Collect what waits in the queue now; False means the end."""
        # what comes while this collects is for the next time: others may bring faster than one thread takes
        return all(self._collect(self._queue.get_nowait()) for _ in range(self._queue.qsize()))

    def _collect(self, events: list[Event] | None) -> bool:
        if events is None:
            return False
        if not self._pending:
            self._held_since = time.monotonic()
        self._pending.add(events)
        self._collected += len(events)
        return True

    def _linger(self) -> None:
        for _ in range(LINGERS):
            # where they pour in, other threads keep Python busy, and a short sleep becomes a long one
            if self._is_hurried or self._pending.new >= POURING or not self._pending.accepted_only:
                break
            time.sleep(LINGER)
            self._collect_more()
        # while they pour in, what began will have ended soon; the caretaker sweeps too
        if self._pending.ends < POURING and self._pending.new < POURING:
            for event in self._sweep():
                self.put(event)
            self._collect_more()

    def _collect_more(self) -> None:
        if not self._collect_waiting():
            self._queue.put(None)  # the end is not now, but next time

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

    def trim_spool(self, *, at_least: int = 0) -> None:
        """Drop what the database has from the spool, if that is `at_least` so many bytes."""
        if self._keep_spool or self._spool.size <= at_least:
            return
        with self._lock, contextlib.suppress(OSError):
            self._spool.acknowledge(self._written, is_last=self._written == self._sequence)
        self._combine()


def spool_folder(home: Path, database: Database) -> Path:
    """Where the events for a database wait: apart from those for other databases."""
    import hashlib

    key = "embedded" if database.url is None else hashlib.sha256(database.url.display.encode()).hexdigest()[:16]
    return home / "spool" / key
