"""A load of jobs that goes on while something breaks, and what the jobs had to wait for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import jobnb
from jobnb.api import default_service


class Load:
    """Submits jobs one after the other, from a thread of its own.

    Args:
        count: how many.
        work: what job `number` does; a few milliseconds of nothing unless given.
        pause: seconds between two submissions.

    Attributes:
        handles: those accepted so far.
        submits: seconds that each `submit` took.
        ends: seconds from the return of each job's function until its handle had the result.
    """

    def __init__(self, count: int, work: Callable[[int], int] | None = None, pause: float = 0.004) -> None:
        self.count, self._work, self._pause = count, work, pause
        self.handles: list[jobnb.JobHandle[int]] = []
        self.submits: list[float] = []
        self.ends: list[float] = []
        self._returned: dict[int, float] = {}
        self._ended = 0
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._submit_all, name="load")
        self._problem: BaseException | None = None

    def start(self) -> Load:
        """Begin; the first use of jobnb should be over, because that one connects."""
        self._thread.start()
        return self

    def wait_for(self, number: int, seconds: float = 60.0) -> None:
        """Wait until that many jobs have ended."""
        with self._changed:
            came = self._changed.wait_for(lambda: self._ended >= number or self._problem, seconds)
        assert self._problem is None, self._problem
        assert came, f"{self._ended} of {self.count} jobs have ended"

    def finish(self, seconds: float = 60.0) -> None:
        """Wait until all jobs have ended, with the right values, and are stored."""
        self.wait_for(self.count, seconds)
        self._thread.join()
        assert [handle.result(0.1) for handle in self.handles] == [self.value(number) for number in range(self.count)]
        default_service().runtime.recorder.settle(seconds)

    @staticmethod
    def value(number: int) -> int:
        """What job `number` returns."""
        return number * 3

    def _submit_all(self) -> None:
        try:
            for number in range(self.count):
                began = time.perf_counter()
                handle = jobnb.submit(self._run, number, job_type="load", name=f"job {number}")
                self.submits.append(time.perf_counter() - began)
                self.handles.append(handle)
                handle.add_done_callback(lambda _, number=number: self._told(number))
                time.sleep(self._pause)
        except BaseException as error:
            self._problem = error

    def _run(self, number: int) -> int:
        jobnb.progress(0.5, "half way")
        time.sleep(0.002)
        if self._work is not None:
            self._work(number)
        self._returned[number] = time.perf_counter()
        return self.value(number)

    def _told(self, number: int) -> None:
        with self._changed:
            if (returned := self._returned.get(number)) is not None:
                self.ends.append(time.perf_counter() - returned)
            self._ended += 1
            self._changed.notify_all()
