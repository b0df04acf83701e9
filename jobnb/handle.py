"""`JobHandle`: what `submit` returns and `get` finds. It mirrors `concurrent.futures.Future` without being one.

The outcome belongs to the row, not to this process. Where the job runs in this process, the handle knows it from
memory and gives the live object back; anywhere else it reads the row.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Generic, Literal, NoReturn, TypeVar, cast, overload

from jobnb.db import queries
from jobnb.display import html, outlet, text
from jobnb.display.words import as_of
from jobnb.errors import DatabaseUnavailable, JobNotFound, WaitTimeout
from jobnb.logs import JobLogs, lines_as_they_come
from jobnb.models import Job, JobStatus
from jobnb.outcome import add_note, failure_of, stored_value
from jobnb.seen import SeenJob
from jobnb.tracking.progress import current_execution
from jobnb.tracking.snapshot import snapshot
from jobnb.waiting import SLICE, all_ended, deadline_after, pauses, stopped_waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from jobnb.models import LogLine
    from jobnb.runtime import Runtime
    from jobnb.tracking.execution import Execution

R = TypeVar("R")

_log = logging.getLogger("jobnb")
NO_THREAD_AFTER = 2.0
"""Seconds a job waits for another one to start before it hears why that may take for ever."""


class JobHandle(SeenJob, Generic[R]):
    """One job, wherever it runs. Made by `submit`, `map` and `get`, not by hand."""

    _is_told = False

    def __init__(self, runtime: Runtime, job_id: str, execution: Execution | None, job: Job | None = None) -> None:
        super().__init__(job_id, execution, job)
        self._runtime = runtime

    @property
    def _execution(self) -> Execution | None:
        """The job, if it is in this process; after a fork it goes on in the parent, and the child reads the row."""
        execution = self._started_here
        return None if self._runtime.is_left_behind and execution is not None and not execution.is_final else execution

    # -- what it is

    @property
    def job(self) -> Job:
        """The job as last seen: from memory if it runs in this process, else the row as it was last read."""
        if self._execution is not None:
            return snapshot(self._execution, self._job)
        return self._job if self._job is not None else self.refresh()

    @property
    def status(self) -> JobStatus:
        """One of the four; from memory if the job runs in this process, else from the row, read now."""
        return JobStatus(self._execution.status) if self._execution is not None else self._look().status

    @property
    def progress(self) -> float | None:
        """Done so far, in [0, 1]; None if the job never said."""
        return self._execution.fraction if self._execution is not None else self._look().progress

    def refresh(self) -> Job:
        """Read the row and return it.

        Raises:
            JobNotFound: it was deleted.
            DatabaseUnavailable: not now.
        """
        job = self._runtime.run(queries.get_job, self.job_id)
        if job is None:
            raise JobNotFound(self.job_id)
        self._job = job
        return job

    def done(self) -> bool:
        """True if it has ended, well or not."""
        return self.status.is_final

    def running(self) -> bool:
        """True while its function runs."""
        return self.status is JobStatus.IN_PROGRESS

    def cancelled(self) -> bool:
        """True if it was cancelled."""
        if self._execution is not None:
            return self._execution.error_kind == "cancelled"
        return self._look().error_kind == "cancelled"

    # -- waiting for it

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the end; True if it came within `timeout` seconds.

        An interrupt stops the waiting, not the job. An outage of the database is waited through.

        Raises:
            InvalidInput: `timeout` is no number of seconds, 0 or more.
        """
        __tracebackhide__ = True
        deadline, execution = deadline_after(timeout), self._execution
        if execution is not None and execution.is_final:
            return True
        began = time.monotonic()
        try:
            if execution is None:
                return self._wait_elsewhere(deadline)
            while not execution.wait(min(SLICE, max(0.0, deadline - time.monotonic()))):
                if time.monotonic() >= deadline:
                    return False
                if execution.status == "scheduled" and time.monotonic() - began > NO_THREAD_AFTER:
                    self._tell_of_full_pool()
        except KeyboardInterrupt:
            raise KeyboardInterrupt(stopped_waiting([self])) from None
        return True

    def result(self, timeout: float | None = None) -> R:
        """Wait for the end and return the value.

        In the process that ran the job it is the object that the function returned; elsewhere it is made from what is
        stored.

        Args:
            timeout: seconds to wait at most; None waits for as long as it takes.

        Raises:
            WaitTimeout: the job has not ended after `timeout` seconds; it goes on.
            Exception: whatever the function raised, in the process that ran it.
            JobFailed: it failed in another process; or its children: JobCancelled, JobTimeout, JobLost.
            ResultNotStored: it is done, but its value could not be kept.
        """
        __tracebackhide__ = True
        self._wait_or_raise(timeout)
        return self._outcome()

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the end and return what `result` would raise, or None if the job is done.

        Raises:
            WaitTimeout: the job has not ended after `timeout` seconds; it goes on.
        """
        __tracebackhide__ = True
        self._wait_or_raise(timeout)
        if self._execution is not None:
            return self._execution.error
        job = self._final_job()
        return failure_of(job) if job.status is JobStatus.FAILED else None

    def add_done_callback(self, fn: Callable[[JobHandle[R]], object]) -> None:
        """Call `fn(handle)` when the job has ended, in some thread; at once if it has. What it raises is logged."""
        called = False

        def call() -> None:
            nonlocal called
            if called:
                return  # it was interrupted
            called = True
            try:
                fn(self)
            except BaseException as error:
                _log.exception("jobnb: a done callback of job %s raised", self._id)
                if isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
                    raise

        def wait_and_call() -> None:
            self.wait()
            call()

        if self._execution is not None:
            self._execution.when_ended(call)
        else:
            threading.Thread(target=wait_and_call, name="jobnb-callback", daemon=True).start()

    def __await__(self) -> Generator[Any, None, R]:
        """Wait without blocking the loop; `await job` is `job.result()` for coroutines."""
        return self._wait_async().__await__()

    # -- doing something about it

    def cancel(self, *, force: bool = False) -> bool:
        """Ask the job to stop.

        A queued job never starts. A running coroutine is cancelled. A function in a thread stops at its next
        `progress`, `track` or `check_cancelled`; code that calls none of them runs to its end, and the row says
        `in_progress` until it has ended.

        Args:
            force: raise `StopRequested` inside the function, wherever it is. It may skip some of its cleanup; a call
                into C code (a sleep, a query, a long NumPy operation) has to return first.

        Returns:
            True if it was unfinished and the request is recorded, False if it had ended. True does not mean that its
            code has stopped: `wait` and `status` tell that.
        """
        return self._runtime.requests.cancel(self._id, force=force)

    def retry(self) -> JobHandle[R]:
        """Run the function again with the same arguments, as a new job; works in the process that ran it.

        Raises:
            InvalidTransition: it has not ended yet.
            InvalidInput: that process is gone.
        """
        job = self._runtime.run(queries.retry_job, self.job_id)
        self._runtime.requests.heed()
        return JobHandle(self._runtime, str(job.job_id), self._runtime.execution_of(job.job_id), job)

    @overload
    def logs(self, follow: Literal[False] = False) -> JobLogs: ...
    @overload
    def logs(self, follow: Literal[True]) -> Iterator[LogLine]: ...
    @overload
    def logs(self, follow: bool) -> JobLogs | Iterator[LogLine]: ...
    def logs(self, follow: bool = False) -> JobLogs | Iterator[LogLine]:
        """What it printed and logged: a list of lines that shows itself as text.

        Args:
            follow: give an iterator instead, that yields lines as they come, until the job has ended.
        """
        if follow:
            return lines_as_they_come(self._look_for_lines)
        return JobLogs(self._runtime.run(queries.get_logs, self.job_id, limit=sys.maxsize))

    # -- how it looks

    def __repr__(self) -> str:
        job = self.job if self._execution is not None or self._job is not None else None
        line = f"job {self._id[-8:]}" if job is None else text.job_line(job)
        if job is not None and not job.status.is_final:
            line = f"{line}  {as_of()}"
        problem = self._execution.problem if self._execution is not None else None
        return f"<JobHandle {line}{f' [{problem}]' if problem else ''}>"

    def _repr_html_(self) -> str:
        job = self.job
        return html.job_card(job) if job.status.is_final else html.said_now(html.job_card(job))

    def _ipython_display_(self) -> None:
        outlet.show([self])

    # -- helpers

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"a JobHandle can't be pickled or copied: pass job.job_id ({self._id}), and use jobnb.get there"
        )

    def _wait_or_raise(self, timeout: float | None) -> None:
        __tracebackhide__ = True
        if not self.wait(timeout):
            raise WaitTimeout(f"job {self._id} has not ended within {timeout:g} s; it goes on, wait again or cancel it")

    def _outcome(self) -> R:
        __tracebackhide__ = True
        execution = self._execution
        if execution is None:
            return cast("R", stored_value(self._final_job()))
        if execution.status == "done":
            return execution.value  # type: ignore[no-any-return] # R is what the caller said
        error = execution.error
        assert error is not None
        add_note(error, self._id[-8:])
        # raising adds frames each time: begin anew at the user's own line
        raise BaseException.with_traceback(error, execution.trace)

    def _look(self) -> Job:
        if self._job is not None and self._job.status.is_final:
            return self._job
        return self.refresh()

    def _final_job(self) -> Job:
        # lists leave the traceback out; a failure is shown with it
        if self._job is None or not self._job.status.is_final or self._job.status is JobStatus.FAILED:
            return self.refresh()
        return self._job

    def _has_ended_elsewhere(self) -> bool:
        try:
            return self._look().status.is_final
        except DatabaseUnavailable as error:
            self._tell_of_outage(error)
            return False
        except JobNotFound:
            if self._started_here is None or self._job is not None:
                raise
            return False  # after a fork: the parent has accepted it, and is about to store it

    def _tell_of_full_pool(self) -> None:
        waiting = current_execution()
        if waiting is None or self._is_told:
            return
        self._is_told = True
        _log.warning(
            "jobnb: job %s waits for job %s, which has not started, because jobs have taken all threads. If each of "
            "them waits like this, none goes on: call the function itself, or allow more jobs at once with "
            "jobnb.configure(max_workers=...)",
            waiting.job_id[-8:],
            self._id[-8:],
        )

    def _tell_of_outage(self, error: DatabaseUnavailable) -> None:
        if not self._is_told:
            self._is_told = True
            _log.warning("jobnb: %s. Waiting for job %s goes on.", error, self._id[-8:])

    def _wait_elsewhere(self, deadline: float) -> bool:
        pause = pauses()
        while not self._has_ended_elsewhere():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(next(pause), left))
        return True

    async def _wait_async(self) -> R:
        __tracebackhide__ = True
        await all_ended([self])
        if self._execution is None:
            return await self._runtime.database.in_thread(self._outcome)
        return self._outcome()

    async def ended_elsewhere(self) -> None:
        """Wait for the end by reading the row, without blocking the loop."""
        for pause in pauses():
            if await self._runtime.database.in_thread(self._has_ended_elsewhere):
                return
            await asyncio.sleep(pause)

    def _look_for_lines(self, seen: int) -> tuple[list[LogLine], bool]:
        try:
            had_ended = self.done()
            return self._runtime.run(queries.get_logs, self.job_id, after=seen), had_ended
        except DatabaseUnavailable as error:
            self._tell_of_outage(error)
            return [], False
