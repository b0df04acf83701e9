"""`Latch`: what is set once, and waited for; neither an interrupt nor a signal handler makes it hold a thread up."""

from __future__ import annotations

import contextlib
import time
from threading import Lock

SLICE = 0.1
"""Seconds; who was not woken because an interrupt hit the one to wake him looks for himself."""


class Latch:
    """An event that is never cleared, for threads that may be interrupted.

    `threading.Event` has a lock that also `set` takes. An interrupt in the midst of its `wait` can leave that lock
    taken, and then every thread that sets the event is held up for ever; so is a signal handler that sets it in the
    midst of a `wait`. Here `set` waits for nobody.
    """

    def __init__(self) -> None:
        self._is_set = False
        self._gate = Lock()
        self._gate.acquire()

    def is_set(self) -> bool:
        """True once it was set."""
        return self._is_set

    def set(self) -> None:
        """Let everybody through, from now on."""
        self._is_set = True
        with contextlib.suppress(RuntimeError):  # it is open
            self._gate.release()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set, at most `timeout` seconds; True if it is."""
        deadline = float("inf") if timeout is None else time.monotonic() + timeout
        while not self._is_set:
            left = deadline - time.monotonic()
            if left <= 0:
                break
            if self._gate.acquire(timeout=min(left, SLICE)):
                self.set()  # for the next one who waits
        return self._is_set
