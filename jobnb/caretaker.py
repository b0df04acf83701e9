"""The caretaker: a thread that looks after a process's jobs while they run.

It sweeps starts, progress and log lines into events, gives signs of life, and notices from the rows what others ask
for: to stop a job, or to run one again.
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
    from jobnb.runtime import Runtime

_log = logging.getLogger("jobnb")

SWEEP = 0.2
POLL = 0.5
HEARTBEAT = 10.0


class Caretaker:
    """Looks after the jobs of one runtime, from `start` to `stop`."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._wake, self._stopped = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="jobnb-caretaker", daemon=True)
        self._polled = self._beaten = 0.0
        self._recovered = False

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
        self._try(self._recover)
        while not self._stopped.is_set():
            if not self._runtime.executions.active:
                self._wake.clear()
            self._wake.wait(self._idle_pause)
            # also before the first look: a job that ends at once is not looked after
            if not self._stopped.wait(SWEEP):
                self._try(self._look)

    @property
    def _idle_pause(self) -> float:
        # a poll would keep a server that sleeps when unused awake; the embedded one costs nothing
        return 2.0 if self._runtime.database.embedded is not None else 60.0

    def _try(self, work: object) -> None:
        try:
            work()  # type: ignore[operator] # a method without arguments
        except JobnbError as error:
            _log.debug("jobnb: caretaker: %s", error)
        except Exception:
            _log.exception("jobnb: the caretaker of this process failed; it goes on")

    def _recover(self) -> None:
        self._runtime.recover()
        self._recovered = True

    def _look(self) -> None:
        self._runtime.sweep_now()
        self._runtime.recorder.trim_spool()
        now = time.monotonic()
        if self._runtime.recorder.outage is not None:
            return
        if self._runtime.executions.active and now - self._beaten > HEARTBEAT:
            self._beaten = now
            self._runtime.database.run(queries.beat, UUID(self._runtime.kernel_id))
        if not self._recovered:
            self._recover()  # the database was away the first time
        if now - self._polled > POLL:
            self._polled = now
            self._runtime.heed_requests()
