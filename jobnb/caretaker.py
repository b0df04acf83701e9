"""The caretaker: a thread that looks after a process's jobs while they run.

It sweeps starts, progress and log lines into events, gives signs of life, notices from the rows what others ask for (to
stop a job, or to run one again), and has the jobs of processes closed that died.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING
from uuid import UUID

from jobnb.db import queries
from jobnb.errors import JobnbError

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobnb.runtime import Runtime

_log = logging.getLogger("jobnb")

SWEEP = 0.2
POLL = 0.5
IDLE = 0.8
"""Seconds between two looks of a process without jobs at the locks of this host; no query is sent for that."""
HEARTBEAT = 10.0
AWAKE = 240.0
"""Seconds after its last job for which a process goes on asking a server that sleeps when nobody uses it; Neon's falls
asleep after 300. Later a request to run a job again is noticed with the next job."""


class Caretaker:
    """Looks after the jobs of one runtime, from `start` to `stop`."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._wake, self._stopped = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="jobnb-caretaker", daemon=True)
        self._recovering: threading.Thread | None = None
        self._polled = self._beaten = float("-inf")
        self._active_at = time.monotonic()
        self._heartbeat = min(HEARTBEAT, runtime.settings.lease / 10)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """There is a job: look after it from now on."""
        if not self._wake.is_set():
            self._wake.set()

    def stop(self) -> None:
        """End the thread; waits a moment for a query that is under way."""
        self._stopped.set()
        self._wake.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(1.0)

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._try(self._look)
            self._wake.clear()
            if not self._runtime.executions.are_active:
                self._wake.wait(IDLE)
            self._stopped.wait(SWEEP)

    @property
    def _pause(self) -> float:
        """Seconds between two polls of the rows."""
        if self._runtime.executions.are_active:
            self._active_at = time.monotonic()
            return POLL
        database = self._runtime.database
        if database.sleeps and time.monotonic() - self._active_at > AWAKE:
            return float("inf")  # a poll would keep it awake, and somebody pays for that
        return 2.0 if database.embedded is not None else 60.0

    def _try(self, work: Callable[[], object]) -> None:
        try:
            work()
        except JobnbError as error:
            _log.debug("jobnb: caretaker: %s", error)
        except Exception:
            _log.exception("jobnb: the caretaker of this process failed; it goes on")

    def _look(self) -> None:
        # the pulse does so more often; but a callback of the user's may hold it up
        self._runtime.threads.look_after()
        self._runtime.sweep_now()
        self._runtime.requests.end_called_off()
        self._runtime.recorder.trim_spool()
        self._runtime.recorder.intake.keep_in_place()
        self._runtime.keep_sign()
        if self._runtime.recorder.outage is not None:
            return
        self._recover()
        now = time.monotonic()
        if self._runtime.executions.are_active and now - self._beaten > self._heartbeat:
            self._beaten = now
            self._runtime.database.run(queries.beat, UUID(self._runtime.kernel_id))
        if now - self._polled > self._pause:
            self._polled = now
            self._runtime.requests.heed()
            self._runtime.observe()

    def _recover(self) -> None:
        """Have the jobs of dead processes closed, in a thread of its own: what they left may take long to store."""
        is_at_it = self._recovering is not None and self._recovering.is_alive()
        if not is_at_it and self._runtime.recovery.finds_dead():
            self._recovering = threading.Thread(
                target=self._try, args=(self._runtime.recovery.look,), name="jobnb-recovery", daemon=True
            )
            self._recovering.start()
