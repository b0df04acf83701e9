"""`Pulse`: a thread that calls a function soon after it was woken, and sleeps at no cost otherwise."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from jobnb.threads import start_outside

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger("jobnb")


class Pulse:
    """Calls `beat` each `interval` seconds from a `wake` on, until it says that nothing is left to do.

    Its thread starts with the first `wake`. If there can be no further thread, `beat` is not called.

    Args:
        interval: seconds.
        beat: returns True if it wants to be called again without a `wake`. What it raises is logged.
        name: of the thread.
    """

    def __init__(self, interval: float, beat: Callable[[], bool], name: str) -> None:
        self._interval, self._beat, self._name = interval, beat, name
        self._is_awake = self._told = False
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._starting = threading.RLock()  # a destructor may wake it in the midst of its start

    def wake(self) -> None:
        """There is something to do; costs next to nothing if it is awake."""
        if self._is_awake:
            return
        self._is_awake = True
        self._wake.set()
        if self._thread is None:
            try:
                self._start()
            except RuntimeError as error:
                self._is_awake = False
                if not self._told:  # once
                    _log.warning("jobnb: %s: what %s does is done later, by others", error, self._name)
                self._told = True

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = start_outside(self._run, self._name)

    def _run(self) -> None:
        while self._wake.wait():
            time.sleep(self._interval)
            self._wake.clear()
            # from here on whoever comes wakes it again
            self._is_awake = False
            try:
                if self._beat():
                    self.wake()
            except Exception:
                _log.exception("jobnb: the thread %s failed; it goes on", self._name)
