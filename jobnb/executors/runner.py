"""What happens around every call: start, call, retries, end. The same for every executor.

The runner is the only one that says how a job ended. It runs in the job's own thread and touches no database: what
happened becomes events.
"""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from threading import Timer
from typing import TYPE_CHECKING, Any

from jobnb.errors import JobCancelled, JobFailed, JobLost, JobTimeout, ServiceClosed, StopRequested
from jobnb.executors.ends import done_event, failed_event
from jobnb.executors.failure import formatted, summary, users_traceback
from jobnb.executors.force import call_stoppable, leave
from jobnb.recorder.events import AnyEvent, Event, EventKind
from jobnb.tracking import capture
from jobnb.tracking.execution import Execution, current
from jobnb.tracking.log import as_members
from jobnb.values import encode

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobnb.tracking.executions import Executions

TIMEOUT_GRACE = 0.5
"""Seconds a function has, after its time is up, to notice and end by itself."""
SHORT = 0.0002
"""Seconds; shorter jobs cost less than a write to the spool."""
FIRST_BACKOFF, LONGEST_BACKOFF = 1.0, 60.0


class Runner:
    """Runs executions and records how they end.

    Args:
        put: takes an event, and what to call when it is safe.
        redact: takes passwords out of what is kept of an exception.
        log_lines: how many lines of a job's output are kept.
        executions: the jobs of this process; told who runs and who has ended.
    """

    def __init__(
        self,
        put: Callable[..., None],
        redact: Callable[[str], str],
        log_lines: int,
        executions: Executions,
    ) -> None:
        self._put, self._redact, self._log_lines = put, redact, log_lines
        self._executions = executions

    def run(self, execution: Execution, has_more: Callable[[], bool] | None = None) -> None:
        """Run a job to its end in this thread; raises nothing that its function raised.

        Args:
            execution: the job.
            has_more: true if this thread runs another job right after it; then the end of a short one is recorded
                together with those that follow, at most milliseconds later, and is told to nobody before.
        """
        work, timer = execution.work, None
        try:
            if not self._begin(execution):
                return
            if work.options.timeout is not None:
                timer = self._start_timer(execution, work.options.timeout)
            if work.is_plain and capture.around is None:
                value = call_stoppable(execution, execution.fn, *execution.args, **execution.kwargs)
            else:
                value = self._surrounded(execution)
            self._complete(execution, value, has_more)
        except BaseException as error:
            leave(execution)
            self._fail(execution, error)
        finally:
            if timer is not None:
                timer.cancel()
            current.set(None)

    async def run_here(self, execution: Execution) -> None:
        """Await a job's coroutine function in the caller's own loop, to its end."""
        loop, task = asyncio.get_running_loop(), asyncio.ensure_future(self._tracked(execution))
        execution.interrupt = lambda: loop.call_soon_threadsafe(task.cancel)
        try:
            await task
        except asyncio.CancelledError:
            if execution.stop_kind is None:
                raise  # the caller was cancelled, not the job
        finally:
            execution.interrupt = None

    async def _tracked(self, execution: Execution) -> None:
        if not self._begin(execution):
            return
        try:
            value = await execution.fn(*execution.args, **execution.kwargs)
        except asyncio.CancelledError as error:
            execution.request_stop("cancelled")
            self._fail(execution, error)
            raise
        except BaseException as error:
            self._fail(execution, error)
        else:
            self._complete(execution, value)

    def _begin(self, execution: Execution) -> bool:
        may_begin = execution.on_start is None or execution.on_start()
        if not may_begin or not execution.begin():
            self.cancel_queued(execution)
            return False
        capture.install()
        execution.log_lines = self._log_lines
        current.set(execution)
        execution.thread = threading.get_ident()
        execution.started, execution.began = time.time(), time.monotonic()
        self._executions.running.add(execution)
        return True

    def cancel_queued(self, execution: Execution) -> None:
        """End an execution as cancelled if it has not begun."""
        if execution.claim_unbegun_end():
            self._record_failure(execution, "cancelled", "cancelled before it started", None)

    def abandon(self, execution: Execution, kind: str, message: str) -> None:
        """End the job although its code may still be running; its later end will not count."""
        self._end_as_failed(execution, kind, message, None)

    def refuse(self, execution: Execution, error: BaseException) -> None:
        """End the job as failed because its executor never ran it."""
        self._end_as_failed(execution, "error", self._redact(str(error)), error)

    def _surrounded(self, execution: Execution) -> Any:
        if capture.around is None:
            return self._attempts(execution)
        return capture.around(execution, functools.partial(self._attempts, execution))

    def _attempts(self, execution: Execution) -> Any:
        pause = FIRST_BACKOFF
        while True:
            try:
                if execution.work.callee.is_async:
                    return call_stoppable(execution, run_coroutine, execution)
                return call_stoppable(execution, execution.fn, *execution.args, **execution.kwargs)
            except Exception as error:
                if execution.attempt >= execution.max_attempts or execution.stop_kind is not None:
                    raise
                reason = summary(error, self._redact)
            self._next_attempt(execution, reason, pause)
            pause = min(pause * 2, LONGEST_BACKOFF)

    def _next_attempt(self, execution: Execution, reason: str, pause: float) -> None:
        execution.remark(f"attempt {execution.attempt} failed: {reason}; the next one in {pause:g} s")
        execution.message = f"attempt {execution.attempt} failed: {reason}"
        execution.stop_event.wait(pause)
        execution.check_stop()
        execution.attempt += 1
        execution.fraction = None

    def _start_timer(self, execution: Execution, seconds: float) -> Timer:
        timer = Timer(seconds, self._time_is_up, (execution,))
        timer.daemon = True
        timer.start()
        return timer

    def _time_is_up(self, execution: Execution) -> None:
        execution.request_stop("timeout")
        if not execution.wait(TIMEOUT_GRACE):
            seconds = f"{execution.timeout:g}"
            self.abandon(execution, "timeout", f"timed out after {seconds} s; the function may still be running")

    def _complete(self, execution: Execution, value: Any, has_more: Callable[[], bool] | None = None) -> None:
        encoded = encode(value)
        for warning in encoded.warnings:
            execution.remark(f"result: {warning}")
        if execution.claim_end():
            execution.value = value
            self._end(execution, "done", functools.partial(done_event, encoded), has_more)

    def _fail(self, execution: Execution, error: BaseException) -> None:
        # not by assignment: the class may be a frozen dataclass, or have ideas of its own about attributes
        BaseException.with_traceback(error, users_traceback(error.__traceback__))
        if isinstance(error, (StopRequested, asyncio.CancelledError)) and execution.stop_kind is not None:
            kind = execution.stop_kind
            self._end_as_failed(execution, kind, _stopped_words(execution, kind), None)
        else:
            self._end_as_failed(execution, "error", summary(error, self._redact), error)

    def _end_as_failed(self, execution: Execution, kind: str, message: str, error: BaseException | None) -> None:
        if execution.claim_end():
            self._record_failure(execution, kind, message, error)

    def _record_failure(self, execution: Execution, kind: str, message: str, error: BaseException | None) -> None:
        execution.error_kind, execution.error_message = kind, message
        execution.error = error if error is not None else _REASONS[kind](execution.job_id, message)
        if error is not None:
            execution.trace = error.__traceback__
            execution.traceback = formatted(error, self._redact)
        self._end(execution, "failed", failed_event)

    def _end(
        self,
        execution: Execution,
        status: str,
        event: Callable[[Execution], AnyEvent],
        has_more: Callable[[], bool] | None = None,
    ) -> None:
        # a clock that was set back must not make jobs end before they began
        execution.finished = max(time.time(), execution.started or execution.created or 0.0)
        if execution.began:
            execution.duration = time.monotonic() - execution.began
        conclude = functools.partial(self._conclude, execution, status)
        try:
            if execution.log is not None and (lines := execution.log.close()):
                rows = as_members(execution.job_id, lines)
                self._put(Event(EventKind.LOGS, execution.job_id, execution.attempt, rows))
            is_short = execution.duration is not None and execution.duration < SHORT
            may_wait = is_short and has_more is not None and has_more()
            self._put(event(execution), conclude, may_wait=may_wait)
        except ServiceClosed as error:
            execution.problem = f"its end could not be recorded: {error}"
            if (call_back := conclude()) is not None:
                call_back()

    def _conclude(self, execution: Execution, status: str) -> Callable[[], None] | None:
        execution.status = status
        self._executions.ended(execution)
        return execution.finish()


_REASONS: dict[str, type[JobFailed]] = {
    "error": JobFailed,
    "cancelled": JobCancelled,
    "timeout": JobTimeout,
    "lost": JobLost,
}


def _stopped_words(execution: Execution, kind: str) -> str:
    ran = f"{execution.elapsed or 0:.1f} s"
    if kind == "timeout":
        return f"timed out after {execution.timeout:g} s; the function has stopped"
    return f"stopped by force after {ran}" if execution.is_forced else f"cancelled after {ran}"


def run_coroutine(execution: Execution) -> Any:
    """Run a job's coroutine function to its end in a loop of its own; other threads can interrupt it."""
    with asyncio.Runner() as loop_runner:
        loop = loop_runner.get_loop()

        async def main() -> Any:
            task = asyncio.current_task()
            assert task is not None
            execution.interrupt = lambda: loop.call_soon_threadsafe(task.cancel)
            if execution.stop_kind is not None:
                task.cancel()
            return await execution.fn(*execution.args, **execution.kwargs)

        try:
            return loop_runner.run(main())
        finally:
            execution.interrupt = None
