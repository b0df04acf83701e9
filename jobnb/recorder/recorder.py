"""`Recorder`: has events written, by one thread, in the order they came in."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from itertools import chain
from typing import TYPE_CHECKING

from jobnb.errors import DatabaseUnavailable
from jobnb.recorder.batch import Pending
from jobnb.recorder.intake import Intake
from jobnb.recorder.writer import Writer
from jobnb.threads import start_outside

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from jobnb.db.database import Database

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


class Recorder:
    """The way of every automatic record into the database. Its thread starts with the first event.

    Args:
        database: where to.
        folder: for the spool and the dead-letter file.
        kernel_id: whose events these are.
        sweep: called before each flush; brings what is new about running jobs (starts, progress, log lines).
        on_problem: called with a job's id and words, when its record could not be stored whole.
        on_gather: see `Intake`.

    Attributes:
        intake: where events come in.
        put: its `put`.
        put_all: its `put_all`.
        dead_letters: the file for records that the database refuses in every form.
    """

    def __init__(
        self,
        database: Database,
        folder: Path,
        kernel_id: str,
        sweep: Callable[[], object] = lambda: None,
        on_problem: Callable[[str, str], None] = lambda job_id, problem: None,  # noqa: ARG005
        on_gather: Callable[[], object] = lambda: None,
    ) -> None:
        self._sweep = sweep
        self.intake = Intake(folder, kernel_id, self._wake_up, on_gather)
        self.put, self.put_all = self.intake.put, self.intake.put_all
        self.dead_letters = folder / f"{kernel_id}.dead"
        self._writer = Writer(database, self.dead_letters, self.intake.keep_safe, on_problem)
        self._pending = Pending()
        self._starting = threading.Lock()
        self._collected = self._written = 0
        self._hurry_until = 0
        self._held_since = 0.0
        self._is_pouring = False
        self._wake, self._is_asleep = threading.Event(), False
        self._progress = threading.Condition()
        self._thread: threading.Thread | None = None
        self._keep_spool = self._leaving = False

    @property
    def waiting(self) -> int:
        """How many events are not in the database yet."""
        return self.intake.last - self._written

    @property
    def outage(self) -> str | None:
        """Why the last flush failed; None while everything is well."""
        return self._writer.last_error

    def settle(self, timeout: float) -> None:
        """Wait until everything recorded so far, by any thread, is in the database.

        Raises:
            DatabaseUnavailable: it is not, after `timeout` seconds.
        """
        if self.intake.is_shut:
            return
        self._sweep()
        self.intake.take_all()
        target = self.intake.last
        if self._written >= target or threading.current_thread() is self._thread or self.intake.is_mine:
            return
        with self._progress:
            self._hurry_until = max(self._hurry_until, target)
            self._wake.set()
            if not self._progress.wait_for(lambda: self._written >= target, timeout):
                kept = "kept in memory only" if self.intake.has_failed else f"safe in {self.intake.path}"
                raise DatabaseUnavailable(
                    f"{self.waiting} records of this process are not in the database yet"
                    f" ({self.outage or 'it is slow'}); they are {kept}"
                )

    def close(self, timeout: float) -> bool:
        """Write what is waiting, for at most `timeout` seconds, and take nothing more.

        Returns:
            True if everything is in the database; False if the rest stays in the spool, for the next start.
        """
        if self.intake.is_shut:
            return True
        with contextlib.suppress(DatabaseUnavailable):
            self.settle(timeout)
        self.intake.mend()
        self.intake.shut()
        self._writer.give_up()
        self._leaving = True
        self._wake.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(0.5)
        done = self.waiting == 0
        if not done:
            self.intake.keep_safe()
        self.intake.close(is_empty=done and not self._keep_spool)
        return done

    def _wake_up(self) -> None:
        """There are events."""
        if self._is_asleep:
            self._is_asleep = False
            self._wake.set()
        elif self._thread is None:
            self._start()

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
        if not (for_events and self.intake.incoming) and not self._is_hurried and not self._leaving:
            self._wake.wait(seconds)
        self._is_asleep = False

    def _collect(self) -> None:
        """Collect what has come in until now; others may bring faster than one thread takes."""
        batches = [self.intake.incoming.popleft() for _ in range(len(self.intake.incoming))]
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
        if not self._is_pouring:
            self._sweep()
            self.intake.take_all()
            self._collect()

    def _send(self, *, ended_only: bool) -> bool:
        """Send what is pending, as far as it is to be sent now; False if that was given up."""
        while batch := self._pending.take(ended_only=ended_only):
            try:
                if not self._writer.send(batch):
                    return False
            except Exception:
                # a fault of ours must not end the one thread that writes: the events stay in the spool
                _log.exception("jobnb: %s jobs could not be written; they stay in %s", len(batch), self.intake.path)
                self._keep_spool = True
        if not self._pending:
            with self._progress:
                self._written = self._collected
                self._progress.notify_all()
            # small amounts wait for the caretaker: emptying a file costs more than writing to it
            self.trim_spool(at_least=TRIM_BYTES)
        return True

    def trim_spool(self, *, at_least: int = 0) -> None:
        """Drop what the database has from the spool, if that is more than `at_least` bytes."""
        if not self._keep_spool:
            self.intake.trim(self._written, at_least=at_least)


def spool_folder(home: Path, database: Database) -> Path:
    """Where the events for a database wait: apart from those for other databases."""
    import hashlib

    key = "embedded" if database.url is None else hashlib.sha256(database.url.display.encode()).hexdigest()[:16]
    return home / "spool" / key
