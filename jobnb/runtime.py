"""`Runtime`: what one process has for one database. The connections, the recorder, the jobs that run here.

Everybody in the process who uses the same database shares one; it is kept on `sys`, so that reloading jobnb's modules
does not make a second one.
"""

from __future__ import annotations

import atexit
import contextlib
import contextvars
import functools
import logging
import os
import sys
import threading
import time
import uuid
import weakref
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Concatenate, NamedTuple, ParamSpec, TypeVar
from uuid import UUID

from jobnb import recovery
from jobnb.caretaker import Caretaker
from jobnb.db import queries
from jobnb.db.database import Database
from jobnb.db.statement import deadline_of
from jobnb.errors import DatabaseUnavailable, InvalidInput, JobLost, ServiceClosed, StopRequested
from jobnb.executors.runner import Runner, as_plain_call
from jobnb.executors.threads import Borrowed, Threads
from jobnb.ids import new_id_text
from jobnb.recorder import Event, EventKind, Recorder, liveness
from jobnb.recorder.events import json_text
from jobnb.recorder.recorder import spool_folder
from jobnb.tracking.execution import Execution

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sqlalchemy import Connection

    from jobnb.calls import Callee
    from jobnb.settings import Settings

P = ParamSpec("P")
R = TypeVar("R")

_log = logging.getLogger("jobnb")


class Options(NamedTuple):
    """How a call is to be tracked, checked already.

    Attributes:
        job_type: the kind of job.
        name: what a person calls it; None for the function's name.
        timeout: seconds, or None.
        retries: how many further attempts a failure gets.
        members: the other columns the acceptance sets, as JSON members.
    """

    job_type: str
    name: str | None = None
    timeout: float | None = None
    retries: int = 0
    members: str = ""


class Call(NamedTuple):
    """A function with its arguments and options, to run it, and to run it again."""

    callee: Callee
    fn: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    options: Options
    place: Threads | Borrowed


class Runtime:
    """One database, as one process uses it. Opens nothing until the first job or query."""

    KEPT_CALLS = 1000
    """How many calls of failed jobs are kept, for retries asked for elsewhere."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.database = Database(settings)
        self.kernel_id = str(uuid.uuid4())
        self.users = 0
        self.active: dict[str, Execution] = {}
        self._known: weakref.WeakValueDictionary[str, Execution] = weakref.WeakValueDictionary()
        self._failed: dict[str, Execution] = {}
        self._folder = spool_folder(settings.home, self.database)
        self.recorder = Recorder(self.database, self._folder, self.kernel_id, self._sweep, self._note_problem)
        self.runner = Runner(self.recorder.put, self.database.redact, settings.log_lines, self._started, self._ended)
        self.threads = Threads(settings.max_workers)
        self._caretaker = Caretaker(self)
        self._running: set[Execution] = set()
        self._heeded: set[UUID] = set()
        self._lock, self._sweeping = threading.Lock(), threading.Lock()
        self._opened = self.is_closed = False
        self._kernel_lock: liveness.KernelLock | None = None
        self._row_members = f'"kernel_id":"{self.kernel_id}"'

    # -- the doors to the database

    def run(self, query: Callable[Concatenate[Connection, P], R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a query that sees everything this process has recorded so far.

        Raises:
            DatabaseUnavailable: the server can't be reached, or did not answer in time.
        """
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
        """
        if self._opened:
            return
        with self._lock:
            if self._opened:
                return
            self.database.open()
            self._kernel_lock = liveness.KernelLock(self.settings.home, self.kernel_id)
            self.database.run(queries.register, {"kernel_id": UUID(self.kernel_id), **liveness.describe_process()})
            self._caretaker.start()
            self._opened = True

    def submit(self, call: Call) -> Execution:
        """Accept a call, checked already, and return at once."""
        execution, event = self._accept(call, None)
        self.recorder.put_all((event,))
        self._caretaker.wake()
        call.place.start(self._task(execution), functools.partial(self._not_run, execution))
        return execution

    def submit_all(self, calls: Iterable[Call], group_id: str) -> list[Execution]:
        """Accept many calls with one write to the spool."""
        accepted = [self._accept(call, group_id) for call in calls]
        self.recorder.put_all([event for _, event in accepted])
        self._caretaker.wake()
        executions = [execution for execution, _ in accepted]
        place = executions[0].call.place if executions else self.threads
        if place is self.threads:
            self.threads.start_all([self._task(execution) for execution in executions])
        else:
            for execution in executions:
                place.start(self._task(execution), functools.partial(self._not_run, execution))
        return executions

    def adopt(self, job_id: UUID, job_type: str, call: Call) -> tuple[Execution, Future[Any]]:
        """Run a call as a job whose row exists already."""
        execution = self._new_execution(str(job_id), call, job_type)
        execution.start_members = self._members(call)
        future: Future[Any] = Future()
        execution.when_ended(lambda: _resolve(future, execution))
        future.add_done_callback(lambda done: execution.request_stop("cancelled") if done.cancelled() else None)
        plain = self._plain_call(execution)

        def begin() -> Any:
            if not future.set_running_or_notify_cancel():
                raise StopRequested("cancelled")
            return plain()

        self._caretaker.wake()
        context = contextvars.copy_context()
        task = functools.partial(context.run, self.runner.run, execution, begin)
        call.place.start(task, functools.partial(self._not_run, execution))
        return execution, future

    def track_here(self, call: Call) -> Execution:
        """Accept a call that the caller runs itself; `runner` records it."""
        execution, event = self._accept(call, None)
        self.recorder.put_all((event,))
        self._caretaker.wake()
        return execution

    def execution_of(self, job_id: UUID | str) -> Execution | None:
        """The job, if it runs or ran in this process and somebody still holds it."""
        return self._known.get(str(job_id))

    def cancel_here(self, execution: Execution) -> None:
        """Stop a job of this process as far as it can be stopped."""
        execution.request_stop("cancelled")
        if execution.status == "scheduled":
            self.runner.cancel_queued(execution)

    def cancel(self, job_id: UUID | str) -> bool:
        """Ask any job to stop; True if it was unfinished and the request is recorded."""
        execution = self.execution_of(job_id)
        if execution is None:
            return self.run(queries.cancel_job, job_id)  # type: ignore[arg-type] # a text is understood too
        if execution.is_final:
            return False
        self.cancel_here(execution)
        if not execution.is_final:
            # for those who watch the row; the job itself knows already, whether or not the database can be reached
            with contextlib.suppress(DatabaseUnavailable):
                self.run(queries.cancel_job, job_id)  # type: ignore[arg-type]
        return True

    # -- what the caretaker does

    def recover(self) -> None:
        """Store and close what dead processes of this host left."""
        recovery.recover(self.settings.home, self._folder, self.kernel_id, self.recorder, self.database)

    def sweep_now(self) -> None:
        """Record what is new about the running jobs."""
        if events := self._sweep():
            self.recorder.put_all(events)

    def heed_requests(self) -> None:
        """Do what others asked for by the rows: stop jobs, run jobs again."""
        kernel_id = UUID(self.kernel_id)
        if self.active:
            for job_id in self.database.run(queries.cancel_requests, kernel_id):
                if (execution := self.active.get(str(job_id))) is not None:
                    self.cancel_here(execution)
        for job_id, retry_of, job_type in self.database.run(queries.retry_requests, kernel_id):
            with self._lock:
                is_new = job_id not in self._heeded
                self._heeded.add(job_id)
            if is_new:
                self._retry(job_id, retry_of, job_type)

    def _retry(self, job_id: UUID, retry_of: UUID, job_type: str) -> None:
        original = self._failed.get(str(retry_of)) or self.execution_of(retry_of)
        if original is None or original.call is None:
            message = "the process no longer has the function and its arguments: submit it again"
            self.database.run(queries.fail_job, job_id, message)
            return
        self.adopt(job_id, job_type, original.call)

    # -- the end

    def shut_down(self, executions: Iterable[Execution], grace: float) -> list[Execution]:
        """Cancel the queued jobs among these, wait up to `grace` seconds for the others; returns what still runs."""
        executions = list(executions)
        for execution in executions:
            if execution.status == "scheduled":
                self.cancel_here(execution)
        deadline = time.monotonic() + grace
        return [one for one in executions if not one.wait(max(0.0, deadline - time.monotonic()))]

    def close(self, grace: float = 0.0, *, at_exit: bool = False) -> None:
        """End everything this process has with the database.

        Queued jobs are cancelled; running ones get `grace` seconds, and are then marked as lost if the process ends.
        """
        if self.is_closed:
            return
        self.is_closed = True
        for execution in self.shut_down(list(self.active.values()), grace):
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
        self.database.close()
        if self._kernel_lock is not None and written and not self.active:
            self._kernel_lock.release()
        _runtimes().pop(_key(self.settings), None)

    def forget(self) -> None:
        """After a fork, in the child: everything here belongs to the parent."""
        self.recorder.forget()
        self.database.forget()
        self.is_closed = True

    # -- helpers

    def _accept(self, call: Call, group_id: str | None) -> tuple[Execution, Event]:
        if self.is_closed:
            raise ServiceClosed("jobnb is closed in this process: it takes no more jobs")
        options = call.options
        execution = self._new_execution(new_id_text(), call, options.job_type)
        created = execution.created_at = datetime.now(UTC)
        execution.group_id = group_id
        members = (
            f'"created_at":"{created.replace(tzinfo=None).isoformat()}","job_type":{json_text(options.job_type)},'
            + self._members(call)
            + (f",{options.members}" if options.members else "")
            + (f',"group_id":"{group_id}"' if group_id else "")
        )
        return execution, Event(EventKind.NEW, execution.job_id, 1, members)

    def _members(self, call: Call) -> str:
        """The columns that say who runs what."""
        options = call.options
        members = (
            f'{self._row_members},"name":{json_text(options.name or call.callee.name)},'
            f'"executor":"{call.place.name}","source":{call.callee.source}'
        )
        if options.retries:
            members += f',"max_attempts":{options.retries + 1}'
        if options.timeout is not None:
            members += f',"timeout_s":{options.timeout!r}'
        return members

    def _new_execution(self, job_id: str, call: Call, job_type: str) -> Execution:
        execution = Execution(job_id, job_type, call.options.name or call.callee.name)
        execution.call = call
        if call.options.retries:
            execution.max_attempts = call.options.retries + 1
        execution.timeout = call.options.timeout
        self.active[job_id] = execution
        self._known[job_id] = execution
        return execution

    def _task(self, execution: Execution) -> Callable[[], None]:
        plain = self._plain_call(execution)
        return functools.partial(contextvars.copy_context().run, self.runner.run, execution, plain)

    def _plain_call(self, execution: Execution) -> Callable[[], Any]:
        call: Call = execution.call
        plain = functools.partial(call.fn, *call.args, **call.kwargs)
        return as_plain_call(plain, execution) if call.callee.is_async else plain

    def _not_run(self, execution: Execution, words: str) -> None:
        if not execution.is_final:
            error = InvalidInput(words)
            self.runner.refuse(execution, error)

    def _started(self, execution: Execution) -> None:
        self._running.add(execution)

    def _ended(self, execution: Execution) -> None:
        self._running.discard(execution)
        self.active.pop(execution.job_id, None)
        if execution.status == "failed":
            self._failed[execution.job_id] = execution
            if len(self._failed) > self.KEPT_CALLS:
                self._failed.pop(next(iter(self._failed)), None)

    def _sweep(self) -> list[Event]:
        with self._sweeping:
            return [event for execution in list(self._running) for event in execution.events()]

    def _note_problem(self, job_id: str, problem: str) -> None:
        execution = self._known.get(job_id)
        if execution is not None:
            execution.problem = problem


def _resolve(future: Future[Any], execution: Execution) -> None:
    if future.cancelled():
        return
    if execution.status == "done":
        future.set_result(execution.value)
        return
    if not future.running() and not future.set_running_or_notify_cancel():
        return
    error = execution.error
    future.set_exception(error if error is not None else JobLost(execution.job_id, "it ended without a reason"))


def _runtimes() -> dict[tuple[Any, ...], Runtime]:
    registry: dict[tuple[Any, ...], Runtime] = sys.__dict__.setdefault("_jobnb_runtimes", {})
    return registry


def _key(settings: Settings) -> tuple[Any, ...]:
    return (settings.database_url, settings.home, settings.max_workers, settings.log_lines, os.getpid())


_registry_lock = threading.Lock()


def runtime_for(settings: Settings) -> Runtime:
    """This process's runtime for these settings; made if there is none."""
    with _registry_lock:
        runtime = _runtimes().get(_key(settings))
        if runtime is None or runtime.is_closed:
            runtime = _runtimes()[_key(settings)] = Runtime(settings)
        return runtime


def _leave() -> None:
    for runtime in list(_runtimes().values()):
        try:
            runtime.close(runtime.settings.exit_grace, at_exit=True)
        except Exception:
            _log.exception("jobnb: closing failed; what is not stored stays in the spool")


def _forget() -> None:
    for runtime in list(_runtimes().values()):
        runtime.forget()
    _runtimes().clear()


if not sys.__dict__.get("_jobnb_hooks"):
    sys.__dict__["_jobnb_hooks"] = True
    try:
        # earlier than atexit, which a Jupyter restart never reaches; private since Python 3.9
        threading._register_atexit(_leave)  # type: ignore[attr-defined] # noqa: SLF001
    except AttributeError:
        atexit.register(_leave)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_forget)
