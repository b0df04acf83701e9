"""`Runtime`: what one process has for one database. The connections, the recorder, the jobs that run here.

Everybody in the process who uses the same database shares one; it is kept on `sys`, so that reloading jobnb's modules
does not make a second one.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import logging
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar
from uuid import UUID

from jobnb.caretaker import Caretaker
from jobnb.db import queries
from jobnb.db.database import Database
from jobnb.db.statement import deadline_of
from jobnb.errors import (
    DatabaseUnavailable,
    InvalidInput,
    JobLost,
    ServiceClosed,
)
from jobnb.executors.failure import summary
from jobnb.executors.runner import Runner
from jobnb.executors.threads import Threads
from jobnb.pulse import Pulse
from jobnb.recorder import Event, Recorder, liveness
from jobnb.recorder.recorder import spool_folder
from jobnb.recovery import Recovery
from jobnb.requests import Requests
from jobnb.sign import SignOfLife
from jobnb.tracking import feeds
from jobnb.tracking.execution import Execution
from jobnb.tracking.executions import Executions
from jobnb.tracking.work import Work, accept, accept_all

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection

    from jobnb.settings import Settings
    from jobnb.tracking.mapped import MappedJobs

P = ParamSpec("P")
R = TypeVar("R")
Announce = Callable[[list[Execution]], None]
"""Told of accepted jobs, before they start; whoever shows them."""

_log = logging.getLogger("jobnb")

PULSE = 0.002
"""Seconds between two looks at threads that run short jobs one after the other."""
_NO_CONTEXT = contextvars.Context()


class Runtime:
    """One database, as one process uses it. Opens nothing until the first job or query."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.database = Database(settings)
        self.kernel_id = str(uuid.uuid4())
        self.users = 0
        self.executions = Executions()
        self._folder = spool_folder(settings.home, self.database)
        self._sign = SignOfLife(settings.home, self.kernel_id, self._folder.name)
        self._pulse = Pulse(PULSE, self._look_after_short_jobs, "jobnb-pulse")
        self.recorder = Recorder(
            self.database, self._folder, self.kernel_id, self._sweep, self._note_problem, self._pulse.wake
        )
        self.runner = Runner(self.recorder.put, self.database.redact, settings.log_lines, self.executions)
        self.threads = Threads(settings.max_workers, self._run, self.recorder.intake.write_gathered, self._pulse.wake)

        self.recovery = Recovery(settings.home, self._folder, self.database, settings.lease)
        self._caretaker = Caretaker(self)
        self.requests = Requests(self)
        self._lock, self._sweeping = threading.Lock(), threading.Lock()
        self._opened = self.is_closed = self.is_left_behind = False
        self._opener: int | None = None

    # -- the doors to the database

    def run(self, query: Callable[Concatenate[Connection, P], R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a query that sees everything this process has recorded so far.

        Raises:
            DatabaseUnavailable: the server can't be reached, or did not answer in time.
        """
        if not self._opened:
            # no caretaker does it yet; and who only looks is to see the truth too
            with contextlib.suppress(DatabaseUnavailable):
                self.recovery.look()
        self.recorder.settle(deadline_of(query))
        return self.database.run(query, *args, **kwargs)

    async def run_async(
        self, query: Callable[Concatenate[Connection, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Like `run`, without blocking the event loop; a cancelled `await` may still have written."""
        return await self.database.in_thread(functools.partial(self.run, query, *args, **kwargs))

    @property
    def is_open(self) -> bool:
        """True once this process has made itself known."""
        return self._opened and not self.is_closed

    # -- taking jobs

    def open(self) -> None:
        """Connect, and make this process known; once. Fails fast, with words.

        Raises:
            DatabaseUnavailable: no connection.
            ConfigurationError: `JOBNB_HOME` can't be written.
            ServiceClosed: it is closed.
        """
        # the latter: a destructor or a signal handler, run in the midst of it; its job waits in the spool for the end
        if self._opened or self._opener == threading.get_ident():
            return
        self._check_open()
        with self._lock:
            self._opener = threading.get_ident()
            try:
                self._open()
            finally:
                self._opener = None

    def _open(self) -> None:
        if self._opened:
            return
        self._sign.give()
        self.database.open()
        self.database.run(queries.register, {"kernel_id": UUID(self.kernel_id), **liveness.describe_process()})
        self._caretaker.start()
        feeds.switch(self.settings.auto_progress)
        self._opened = True

    def submit(
        self,
        work: Work,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        owner: object,
        announce: Announce | None = None,
    ) -> Execution:
        """Accept a call, checked already, and return at once; `announce` is told before it starts."""
        self._check_open()
        execution, event = accept(work, fn, args, kwargs, contextvars.copy_context())
        try:
            self._take_in(execution, event, owner)
            if announce is not None:
                announce([execution])
            self._start(execution)
        except BaseException:
            self.requests.call_off(lambda: [execution])
            raise
        return execution

    def submit_all(
        self,
        work: Work,
        fn: Callable[..., Any],
        calls: Sequence[tuple[Any, ...]],
        group_id: UUID,
        owner: object,
        announce: Announce | None = None,
    ) -> MappedJobs:
        """Accept many calls with one line in the spool; `announce` is told before they start."""
        self._check_open()
        mapped = accept_all(work, fn, calls, contextvars.copy_context(), owner, group_id)
        if not calls:
            return mapped
        try:
            self.executions.add_map(mapped)
            self.recorder.put_all((mapped.accepted,))
            self._caretaker.wake()
            if announce is not None:
                announce(list(mapped.unfinished()))
            if work.place is None:
                self.threads.add(mapped)
            else:
                for execution in mapped.unfinished():
                    self._start(execution)
        except BaseException:
            self.requests.call_off(mapped.unfinished)
            raise
        return mapped

    def accept(
        self, work: Work, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], owner: object = None
    ) -> Execution:
        """Accept a call that somebody else runs; `runner` records it."""
        self._check_open()
        execution, event = accept(work, fn, args, kwargs, contextvars.copy_context())
        self._take_in(execution, event, owner)
        return execution

    def adopt(
        self,
        job_id: UUID,
        work: Work,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        owner: object = None,
        announce: Announce | None = None,
    ) -> tuple[Execution, Future[Any]]:
        """Run a call as a job whose row exists already."""
        self._check_open()
        execution = Execution(str(job_id), work, fn, args, kwargs, contextvars.copy_context())
        execution.owner = owner
        self.executions.add(execution)
        future: Future[Any] = Future()
        execution.on_start = future.set_running_or_notify_cancel
        execution.when_ended(lambda: _resolve(future, execution))
        future.add_done_callback(lambda done: execution.request_stop("cancelled") if done.cancelled() else None)
        self._caretaker.wake()
        if announce is not None:
            announce([execution])
        self._start(execution)
        return execution, future

    def execution_of(self, job_id: UUID | str) -> Execution | None:
        """The job, if it runs or ran in this process and somebody still holds it."""
        return self.executions.find(str(job_id))

    # -- what the caretaker does

    def keep_sign(self) -> None:
        """See to it that this process still counts as alive on this host."""
        if not self.is_closed:
            self._sign.keep()

    def observe(self) -> None:
        """Give up the jobs of processes elsewhere that have been silent for too long."""
        # all clients of the embedded server are on this host, where locks answer
        if self.database.embedded is None:
            self.recovery.observe()

    def sweep_now(self) -> None:
        """Record what is new about the running jobs, and finish what an interrupt left undone."""
        self._sweep()
        self.recorder.intake.mend()

    # -- the end

    def shut_down(self, executions: Iterable[Execution], grace: float) -> list[Execution]:
        """Cancel the queued jobs among these, wait up to `grace` seconds for the others; returns what still runs."""
        executions = list(executions)
        for execution in executions:
            if execution.status == "scheduled":
                execution.request_stop("cancelled")
                self.runner.cancel_queued(execution)
        deadline = time.monotonic() + grace
        return [one for one in executions if not one.wait(max(0.0, deadline - time.monotonic()))]

    def close(self, grace: float = 0.0, *, at_exit: bool = False) -> None:
        """End everything this process has with the database.

        Queued jobs are cancelled; running ones get `grace` seconds, and are then marked as lost if the process ends.
        """
        if self.is_closed:
            return
        self.is_closed = True
        for execution in self.shut_down(self.executions.unfinished(), grace):
            execution.request_stop("cancelled")
            if at_exit:
                words = "lost: the process ended while the job was running; wait for jobs before leaving"
                self.runner.abandon(execution, "lost", words)
                _log.warning("jobnb: job %s was still running when the process ended", execution.job_id[-8:])
        self._caretaker.stop()
        written = self.recorder.close(self.settings.exit_grace)
        with contextlib.suppress(DatabaseUnavailable):
            if self._opened and written:
                self.database.run(queries.leave, UUID(self.kernel_id))
        self.threads.close()
        self.database.close(is_away=at_exit and not written)
        if written and not self.executions.are_active:
            self._sign.end()

    def forget(self) -> None:
        """After a fork, in the child: everything here belongs to the parent."""
        self.recorder.intake.forget()
        self.database.forget()
        self.is_closed = self.is_left_behind = True

    # -- helpers

    def _check_open(self) -> None:
        if self.is_closed:
            raise ServiceClosed("jobnb is closed in this process: it takes no more jobs")

    def _take_in(self, execution: Execution, event: Event, owner: object) -> None:
        execution.owner = owner
        self.executions.add(execution)
        self.recorder.put_all((event,))
        self._caretaker.wake()

    def _start(self, execution: Execution) -> None:
        if (place := execution.work.place) is None:
            self.threads.add(execution)
        else:
            place.start(functools.partial(self._run, execution), functools.partial(self._not_run, execution))

    def _look_after_short_jobs(self) -> bool:
        self.recorder.intake.write_gathered()
        return self.threads.look_after()

    def _run(self, execution: Execution, has_more: Callable[[], bool] | None = None) -> None:
        """What an executor runs."""
        if execution.mapped is None:
            # whoever holds the job is not to hold what its context variables held
            context, execution.context = execution.context, _NO_CONTEXT
        else:
            context = execution.context.copy()  # the jobs of a map share the one of their submission
        try:
            context.run(self.runner.run, execution, has_more)
        except BaseException as error:
            # a fault of ours must not leave a job without an end
            self.runner.abandon(execution, "error", f"jobnb itself failed: {summary(error, self.database.redact)}")
            raise

    def _not_run(self, execution: Execution, words: str) -> None:
        if not execution.is_final:
            error = InvalidInput(words)
            self.runner.refuse(execution, error)

    def _sweep(self) -> None:
        # taken and brought in one: who sweeps after this one finds everything with the recorder, nothing in its hands
        with self._sweeping:
            events = [event for execution in list(self.executions.running) for event in execution.events()]
            if events:
                self.recorder.intake.bring(events)

    def _note_problem(self, job_id: str, problem: str) -> None:
        execution = self.executions.find(job_id)
        if execution is not None:
            execution.problem = problem


def _resolve(future: Future[Any], execution: Execution) -> None:
    if future.done():  # cancelled, or resolved by a thread that was interrupted then
        return
    if execution.status == "done":
        future.set_result(execution.value)
        return
    if not future.running() and not future.set_running_or_notify_cancel():
        return
    error = execution.error
    future.set_exception(error if error is not None else JobLost(execution.job_id, "it ended without a reason"))
