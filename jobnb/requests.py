"""`Requests`: what is asked of jobs, to stop or to be run again; here, from anywhere by their rows, or by Ctrl-C."""

from __future__ import annotations

import contextlib
import logging
import threading
from typing import TYPE_CHECKING
from uuid import UUID

from jobnb.db import queries
from jobnb.errors import JobnbError, JobNotFound
from jobnb.executors.force import force_stop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from jobnb.runtime import Runtime
    from jobnb.tracking.execution import Execution

_log = logging.getLogger("jobnb")

REQUEST_SECONDS = 1.0
"""How long cancelling a job of this process waits for the request to be in its row; it comes there sooner or later."""


class Requests:
    """The requests about the jobs of one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._unrecorded: dict[str, bool] = {}
        self._heeded: set[UUID] = set()
        self._called_off: list[Callable[[], Iterable[Execution]]] = []
        self._lock = threading.Lock()

    def cancel(self, job_id: UUID | str, *, force: bool = False) -> bool:
        """Ask any job to stop; True if it was unfinished and the request is recorded."""
        execution = self._runtime.execution_of(job_id)
        if execution is None:
            return self._runtime.run(queries.cancel_job, job_id, force)  # type: ignore[arg-type] # a text will do too
        if execution.is_final:
            return False
        self._stop(execution, force=force)
        if not execution.is_final:
            self._record(execution.job_id, force)
        return True

    def call_off(self, jobs: Callable[[], Iterable[Execution]]) -> None:
        """An interrupt came before the caller had a handle: what has not begun does not begin any more."""
        self._called_off.append(jobs)
        self.end_called_off()

    def end_called_off(self) -> None:
        """Stop all jobs that were called off; another interrupt may have come in the midst of that."""
        for jobs in list(self._called_off):
            for execution in jobs():
                self._stop(execution, force=False)
            with contextlib.suppress(ValueError):  # another thread was faster
                self._called_off.remove(jobs)

    def heed(self) -> None:
        """Do what others asked for by the rows: stop jobs, run jobs again."""
        runtime, kernel_id = self._runtime, UUID(self._runtime.kernel_id)
        self._record_all()
        if runtime.executions.are_active:
            for job_id, force in runtime.database.run(queries.cancel_requests, kernel_id):
                if (execution := runtime.execution_of(job_id)) is not None and not execution.is_final:
                    self._heed_cancel(execution, force=force)
        for job_id, retry_of in runtime.database.run(queries.retry_requests, kernel_id):
            with self._lock:
                is_new = job_id not in self._heeded
                self._heeded.add(job_id)
            if is_new:
                self._retry(job_id, retry_of)

    def _heed_cancel(self, execution: Execution, *, force: bool) -> None:
        # once: by the next look it may be in its `finally` blocks
        if execution.stop_kind is None or (force and not execution.is_forced):
            self._stop(execution, force=force)

    def _stop(self, execution: Execution, *, force: bool) -> None:
        """Stop a job of this process as far as it can be stopped."""
        execution.request_stop("cancelled")
        self._runtime.runner.cancel_queued(execution)
        if force and not execution.is_final:
            force_stop(execution)

    def _record(self, job_id: str, force: bool) -> None:
        """For those who watch the row; the job itself knows already, whether or not the database can be reached."""
        self._unrecorded[job_id] = force
        recorded = threading.Event()

        def record() -> None:
            try:
                self._record_all()
            except JobnbError as error:
                _log.debug("jobnb: the request to cancel job %s is recorded later: %s", job_id, error)
            recorded.set()

        if self._runtime.recorder.outage is None:
            self._runtime.database.in_background(record)
            recorded.wait(REQUEST_SECONDS)

    def _record_all(self) -> None:
        for job_id, force in list(self._unrecorded.items()):
            with contextlib.suppress(JobNotFound):
                self._runtime.run(queries.cancel_job, UUID(job_id), force)
            self._unrecorded.pop(job_id, None)

    def _retry(self, job_id: UUID, retry_of: UUID) -> None:
        call = self._runtime.executions.call_of(str(retry_of))
        if call is None:
            message = "the process no longer has the function and its arguments: submit it again"
            self._runtime.database.run(queries.fail_job, job_id, message)
            return
        self._runtime.adopt(job_id, *call)
