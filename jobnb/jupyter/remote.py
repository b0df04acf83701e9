"""`Watch`: keeps the handles of jobs that run in other processes up to date while a board shows them."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any

from jobnb.errors import JobnbError
from jobnb.threads import start_outside

if TYPE_CHECKING:
    from jobnb.handle import JobHandle

_log = logging.getLogger("jobnb")

PAUSE = 1.0
AT_ONCE = 20
"""How many rows are read in each round; with more jobs, each is read less often."""


class Watch:
    """Reads rows in a thread of its own, so that a slow or dead database never holds up what is shown."""

    def __init__(self) -> None:
        self._handles: list[JobHandle[Any]] = []
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def add(self, handle: JobHandle[Any]) -> None:
        """Read this one's row about once a second, until the job has ended."""
        with self._lock:
            self._handles.append(handle)
            if self._thread is None:
                self._thread = start_outside(self._run, "jobnb-watch")

    def _run(self) -> None:
        while True:
            time.sleep(PAUSE)
            with self._lock:
                self._handles = [handle for handle in self._handles if handle.state in ("scheduled", "in_progress")]
                if not self._handles:
                    self._thread = None
                    return
                now, later = self._handles[:AT_ONCE], self._handles[AT_ONCE:]
                self._handles = later + now
            for handle in now:
                try:
                    handle.refresh()
                except JobnbError as error:
                    _log.debug("jobnb: reading job %s for its card: %s", handle.job_id, error)
