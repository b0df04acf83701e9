"""`Execution`: one job in this process, from its acceptance to its end.

The runner writes to it, the function's progress calls write to it, the handle and the display read it, and a sweep
turns what changed into events. None of them waits for another.
"""

from __future__ import annotations

import os
import threading
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from jobnb.errors import StopRequested
from jobnb.latch import Latch
from jobnb.recorder.events import Event, EventKind, json_text, moment
from jobnb.tracking.log import JobLog, as_members, clean

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context
    from types import TracebackType

    from jobnb.tracking.feeds.bars import Bar
    from jobnb.tracking.mapped import MappedJobs
    from jobnb.tracking.work import Work

current: ContextVar[Execution | None] = ContextVar("jobnb_job", default=None)
"""The job whose code this is; None outside of jobs."""

# a destructor may run in the midst of it, and do something with a job
_lazily = threading.RLock()


def _forget_lock() -> None:
    global _lazily  # noqa: PLW0603 - another thread of the parent may have held it at the fork
    _lazily = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_lock)


class Execution:
    """One job of this process.

    Attributes:
        job_id: as text.
        work: how it is run; shared with other jobs.
        fn: what is run.
        args: the function's positional arguments.
        kwargs: its keyword arguments.
        context: the context variables at the submission.
        on_start: called when its turn has come; True if it may begin. None if nobody has a say.
        owner: the service that started it; None if it has none.
        accepted: the columns its acceptance set, as JSON members with a comma behind; every event repeats them.
        accepted_at: when that was, as the database is told; `NULL` if its work says it.
        created: when it was accepted, in seconds since 1970, UTC; so are `started` and `finished`, None before.
        status: one of the four, as far as this process knows.
        value: what the function returned, once `status` is done.
        error: what the function raised, or jobnb's reason; once `status` is failed.
        error_kind: `error`, `cancelled`, `timeout` or `lost`; once `status` is failed.
        trace: where the error was raised, from the user's own line on; the error itself collects frames whenever it is
            raised again.
        problem: words, if its record could not be stored whole; None otherwise.
        stop_asked: when it was asked to stop; None if it was not.
        echoed: how many of the lines it printed were shown under its cell, in a notebook.
        bars: the open bars of tqdm and rich in it, outermost first.
        has_spoken: its function reports its progress itself, so that bars do not count.
        thread: the identity of the thread that runs it; None before.
        stoppable: the same while its function runs, None before and after; an exception may be raised in it.
        is_forced: somebody wanted it to stop by force.
        mapped: the jobs of the `map` that it is one of; None otherwise.
        index: its place there.
        is_kept: somebody outside may hold it.
    """

    status = "scheduled"
    attempt = 1
    created: float | None = None
    started: float | None = None
    finished: float | None = None
    owner: object = None
    value: Any = None
    error: BaseException | None = None
    trace: TracebackType | None = None
    error_kind: str | None = None
    error_message: str | None = None
    traceback: str | None = None
    problem: str | None = None
    fraction: float | None = None
    message: str | None = None
    stop_kind: str | None = None
    stop_asked: float | None = None
    echoed = 0.0
    stoppable: int | None = None
    is_forced = False
    interrupt: Callable[[], object] | None = None
    on_start: Callable[[], bool] | None = None
    thread: int | None = None
    bars: tuple[Bar, ...] = ()
    has_spoken = False
    began = 0.0
    duration: float | None = None
    log: JobLog | None = None
    log_lines = 0
    accepted = ""
    accepted_at = "NULL"
    _stop: threading.Event | None = None
    _ended: Latch | None = None
    _callbacks: list[Callable[[], object]] | None = None
    _told: tuple[float | None, str | None] = (None, None)
    _end_claimed = False
    start_recorded = 0
    mapped: MappedJobs | None = None
    index = 0
    is_kept = False

    def __init__(
        self,
        job_id: str,
        work: Work,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        context: Context,
    ) -> None:
        self.job_id, self.work, self.fn = job_id, work, fn
        self.args, self.kwargs, self.context = args, kwargs, context

    @property
    def job_type(self) -> str:
        """The kind of job."""
        return self.work.options.job_type

    @property
    def name(self) -> str:
        """What a person calls it."""
        return self.work.options.name or self.work.callee.name

    @property
    def timeout(self) -> float | None:
        """Seconds it may take."""
        return self.work.options.timeout

    @property
    def max_attempts(self) -> int:
        """How many attempts it has."""
        return self.work.options.retries + 1

    @property
    def is_final(self) -> bool:
        """True once it has ended, well or not."""
        return self.status in ("done", "failed")

    @property
    def is_plain(self) -> bool:
        """True if it is done, and there is nothing to tell of it but times and a value."""
        return (
            self.status == "done"
            and self.attempt == 1
            and self.fraction is None
            and self.message is None
            and self.log is None
            and self.problem is None
            and self.stop_kind is None
        )

    # -- asking it to stop

    def request_stop(self, kind: str) -> None:
        """Ask the job to stop; its own code notices at the next `check_cancelled`, `progress` or `track`."""
        if self.stop_kind is None:
            self.stop_kind, self.stop_asked = kind, time.time()
        self.stop_event.set()
        if (interrupt := self.interrupt) is not None:
            interrupt()

    @property
    def stop_event(self) -> threading.Event:
        """Set when the job is to stop; made when first looked at."""
        with _lazily:
            if self._stop is None:
                self._stop = threading.Event()
                if self.stop_kind is not None:
                    self._stop.set()
            return self._stop

    def check_stop(self) -> None:
        """Raise `StopRequested` if the job is to stop."""
        if self.stop_kind is not None:
            raise StopRequested(self.stop_kind)

    # -- its beginning and its end

    def begin(self) -> bool:
        """Let its function begin; False if it was asked to stop, or has ended, before that."""
        with _lazily:
            if self._end_claimed or self.stop_kind is not None:
                return False
            self.status = "in_progress"
            return True

    def claim_unbegun_end(self) -> bool:
        """Like `claim_end`, but False too if its function has begun, or is about to."""
        with _lazily:
            if self._end_claimed or self.status != "scheduled":
                return False
            self._end_claimed = True
            return True

    def claim_end(self) -> bool:
        """True for the one caller that may end this job; several may want to at the same moment."""
        with _lazily:
            claimed, self._end_claimed = self._end_claimed, True
        return not claimed

    def end_again(self, value: Any, duration: float) -> None:
        """Be one that was done; its times were set. For `MappedJobs`, which did not keep it."""
        self.value, self.duration = value, duration
        self._end_claimed, self.status = True, "done"

    def finish(self) -> Callable[[], None] | None:
        """Wake everybody who waits; `status` and the rest have been set. Gives what calls the callbacks, if there are.

        Both are safe to call again after an interrupt: it goes on with the callback that was interrupted.
        """
        with _lazily:
            ended, callbacks = self._ended, self._callbacks
        if ended is not None:
            ended.set()
        return self._call_back if callbacks else None

    def _call_back(self) -> None:
        callbacks = self._callbacks
        while callbacks:
            callbacks[0]()
            callbacks.pop(0)

    def wait(self, timeout: float | None) -> bool:
        """Wait for the end, at most `timeout` seconds; True if it has ended."""
        if self.is_final:
            return True
        with _lazily:
            if self._ended is None:
                self._ended = Latch()
        return self.is_final or self._ended.wait(timeout) or self.is_final

    def when_ended(self, callback: Callable[[], object]) -> None:
        """Call `callback` at the end, in the thread that ends it; at once if it has ended. It must raise nothing."""
        with _lazily:
            if not self.is_final:
                self._callbacks = self._callbacks or []
                self._callbacks.append(callback)
                return
        callback()

    # -- what it prints

    def write(self, stream: str, text: str) -> None:
        """Add to its log; what comes after its end is not the job's any more."""
        log = self.log
        if log is None:
            with _lazily:
                if self._end_claimed:
                    return
                log = self.log = self.log or JobLog(self.log_lines)
        log.write(stream, text)

    def remark(self, text: str) -> None:
        """Add a line of jobnb's own to its log."""
        self.write("jobnb", text + "\n")

    # -- what is new about it

    def events(self) -> list[Event]:
        """What changed since the last call: its start, its progress, the lines it printed."""
        events = []
        if self.status == "in_progress":
            now = (self.fraction, self.message)
            if self.start_recorded < self.attempt:
                self.start_recorded = self.attempt
                # without its progress: the spool keeps this one, and a replay must not set the row back
                events.append(self._event(EventKind.START, ""))
            if now != self._told:
                self._told = now
                events.append(self._event(EventKind.PROGRESS, self.progress_text()))
        if self.log is not None and (lines := self.log.drain()):
            events.append(Event(EventKind.LOGS, self.job_id, self.attempt, as_members(self.job_id, lines)))
        return events

    def _event(self, kind: EventKind, more: str) -> Event:
        members = f'{self.accepted}"status":"in_progress","started_at":{moment(self.started or time.time())}{more}'
        return Event(kind, self.job_id, self.attempt, members, self.work.shared)

    def progress_text(self) -> str:
        """The columns that progress sets, with a comma before; empty if there was none."""
        fraction, message = self.fraction, self.message
        if fraction is None and message is None:
            return ""
        text = "null" if message is None else json_text(clean(message[:1000]))
        return f',"progress":{"null" if fraction is None else repr(fraction)},"progress_message":{text}'

    @property
    def elapsed(self) -> float | None:
        """Seconds it ran, or has been running; None if it has not begun."""
        if self.duration is not None:
            return self.duration
        return time.monotonic() - self.began if self.began else None
