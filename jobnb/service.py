"""`JobService` and `SyncJobService`: the two facades. One line a query, and what runs jobs.

Both offer the same names over the same query functions. A query of a facade sees everything that this process has
recorded before, so `complete_job` right after a job's own end keeps the order of the two.
"""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, TypeVar
from uuid import uuid4

from jobnb.calls import check_arguments, look_up, zipped
from jobnb.db import queries
from jobnb.db.doors import awaitable, blocking
from jobnb.db.schema import init_database
from jobnb.display import outlet
from jobnb.errors import DatabaseUnavailable, InvalidInput, InvalidTransition, JobNotFound, ServiceClosed
from jobnb.executors.threads import Borrowed, Executor
from jobnb.groups import JobGroup
from jobnb.handle import JobHandle
from jobnb.models import Job, JobStatus, check_id, check_job_type, check_seconds, check_text
from jobnb.process import runtime_for
from jobnb.settings import Settings
from jobnb.tracking.work import Options, Place, Work, make_work
from jobnb.values import encode_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from concurrent.futures import Future
    from uuid import UUID

    from sqlalchemy import Connection

    from jobnb.runtime import Runtime
    from jobnb.tracking.execution import Execution

P = ParamSpec("P")
R = TypeVar("R")


_PLAIN = Options("analysis")
_REFERENCES: tuple[str, ...] = ("document_id", "property_id")


class _Service:
    """What the two facades share: where jobs run, and which of them this service started.

    Args:
        database_url: which server; None for `DATABASE_URL` or `.env`, and the embedded server where neither is set.
        executor: where jobs run; None for jobnb's own threads. The caller owns it.
        max_workers: how many jobs run at once in jobnb's own threads.
        settings: all settings at once, instead of the above.
    """

    GRACE = 5.0
    """Seconds that `close` gives to running jobs."""

    def __init__(
        self,
        database_url: str | None = None,
        *,
        executor: Executor | None = None,
        max_workers: int | None = None,
        settings: Settings | None = None,
    ) -> None:
        self.settings = settings or Settings.load(database_url=database_url, max_workers=max_workers)
        self._runtime_used: Runtime | None = None
        self._borrowed = None if executor is None else Borrowed(executor)
        self._closed = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.settings!r}{', closed' if self._closed else ''})"

    @property
    def runtime(self) -> Runtime:
        """What this process shares with everybody who uses the same database.

        Raises:
            ServiceClosed: after `close`.
        """
        if self._closed:
            raise ServiceClosed("this service is closed: make a new one")
        runtime = self._runtime_used
        if runtime is None or runtime.is_closed:
            runtime = self._runtime_used = runtime_for(self.settings)
            runtime.users += 1
            outlet.look_for_notebook()
        return runtime

    def submit(
        self,
        fn: Callable[..., R],
        /,
        *args: Any,
        job_type: str = "analysis",
        name: str | None = None,
        document_id: UUID | str | None = None,
        property_id: UUID | str | None = None,
        initial_data: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        retries: int = 0,
        executor: Executor | None = None,
        **kwargs: Any,
    ) -> JobHandle[R]:
        """Run `fn(*args, **kwargs)` as a job and return at once.

        Args:
            fn: a function or coroutine function; it runs in a thread (a coroutine in a loop of its own there).
            args: its positional arguments.
            job_type: the kind of job, 1 to 50 characters.
            name: what a person calls it; the function's name if None.
            document_id: the document it belongs to.
            property_id: the property it belongs to.
            initial_data: kept with the job, in a column of its own.
            timeout: seconds the function may take; None for no limit.
            retries: how many further attempts a failure gets, with growing pauses.
            executor: where it runs; None for the service's own.
            kwargs: the function's keyword arguments.

        Raises:
            InvalidInput: something that can't be right; nothing was stored.
            DatabaseUnavailable: only at the first use in a process; later a server that is away is waited for.
        """
        given = _without_none(
            name=name, document_id=document_id, property_id=property_id, initial_data=initial_data, timeout=timeout,
            retries=retries or None, executor=executor, job_type=None if job_type == _PLAIN.job_type else job_type,
        )  # fmt: skip
        work = self._work(fn, args, kwargs, job_type, given)
        runtime = self.runtime
        execution = runtime.submit(work, fn, args, kwargs, self, self._announcer)
        return JobHandle(runtime, execution.job_id, execution)

    def map(
        self,
        fn: Callable[..., R],
        /,
        *iterables: Iterable[Any],
        job_type: str = "analysis",
        name: str | None = None,
        document_id: UUID | str | None = None,
        property_id: UUID | str | None = None,
        initial_data: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        retries: int = 0,
        executor: Executor | None = None,
    ) -> JobGroup[R]:
        """Run `fn` once for each item (or each tuple of items, given several iterables), each time as a job of its own.

        Args:
            fn: a function or coroutine function.
            iterables: what to run it on; they end with the shortest.
            job_type: the kind of jobs; this and the other options are those of `submit`, for every job alike.
            name: what a person calls them.
            document_id: the document they belong to.
            property_id: the property they belong to.
            initial_data: kept with each of them.
            timeout: seconds each may take.
            retries: how many further attempts a failure gets.
            executor: where they run; None for the service's own.

        Raises:
            InvalidInput: something that can't be right; nothing was stored.
            DatabaseUnavailable: only at the first use in a process.
        """
        # options are apart from the function's own arguments here: nothing can collide
        given = _without_none(name=name, document_id=document_id, property_id=property_id, initial_data=initial_data,
                              timeout=timeout, retries=retries or None)  # fmt: skip
        options = self._options(job_type, given)
        callee = look_up(fn)
        items = zipped(iterables)
        if items:
            check_arguments(callee, items[0], {}, {})
        runtime = self.runtime
        runtime.open()
        work = make_work(callee, options, self._place(executor), runtime.kernel_id)
        group_id = uuid4()
        executions = runtime.submit_all(work, fn, items, group_id, self, self._announcer)
        return JobGroup(group_id, [JobHandle(runtime, execution.job_id, execution) for execution in executions])

    def run_job_async(self, job_id: UUID, task_func: Callable[..., R], /, *args: Any, **kwargs: Any) -> Future[R]:
        """Run `task_func(*args, **kwargs)` as the job that `create_job` made; its start and end are recorded.

        Waiting for the future with `result()` is safe in a coroutine too; `await asyncio.wrap_future(future)` does
        not block the loop.

        Raises:
            JobNotFound: no such job.
            InvalidTransition: it has ended, or runs already.
            InvalidInput: the arguments do not fit the function.
        """
        job_id = check_id("job_id", job_id)
        callee = look_up(task_func)
        check_arguments(callee, args, kwargs, {})
        runtime = self.runtime
        runtime.open()
        options = Options(self._check_can_run(runtime, job_id))
        work = make_work(callee, options, self._place(None), runtime.kernel_id)
        _, future = runtime.adopt(job_id, work, task_func, args, kwargs, self, self._announcer)
        return future

    def track_here(
        self,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        job_type: str,
        given: Mapping[str, Any],
    ) -> Execution:
        """Accept a call that the caller runs himself, through `runtime.runner`; the options are those of `submit`."""
        callee = look_up(fn)
        check_arguments(callee, args, kwargs, {})
        self.runtime.open()
        work = make_work(callee, self._options(job_type, given), None, self.runtime.kernel_id)
        execution = self.runtime.accept(work, fn, args, kwargs)
        if (announce := self._announcer) is not None:
            announce([execution])
        return execution

    def is_job_running(self, job_id: UUID) -> bool:
        """True while the job's function runs, in this process or another (then the row is read, in about 1 ms).

        Raises:
            JobNotFound: no such job.
        """
        execution = self.runtime.execution_of(check_id("job_id", job_id))
        if execution is not None:
            return execution.status == "in_progress"
        job = self.runtime.run(queries.get_job, job_id)
        if job is None:
            raise JobNotFound(job_id)
        return job.status is JobStatus.IN_PROGRESS

    def run(self, query: Callable[Concatenate[Connection, P], R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run any query function; see `Runtime.run`."""
        runtime = self.runtime
        return runtime.run(query, *args, **kwargs)

    async def run_async(
        self, query: Callable[Concatenate[Connection, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Run any query function without blocking the loop; see `Runtime.run_async`."""
        return await self.runtime.run_async(query, *args, **kwargs)

    # -- helpers

    @property
    def _announcer(self) -> Callable[[list[Execution]], None] | None:
        return None if outlet.audience is None else self._announce

    def _announce(self, executions: list[Execution]) -> None:
        if outlet.audience is not None:
            handles = [JobHandle[Any](self.runtime, execution.job_id, execution) for execution in executions]
            outlet.audience.announce(handles, self.settings.display)

    def _work(
        self,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        job_type: str,
        given: dict[str, Any],
    ) -> Work:
        """Check a call with those of its options that are not the default, and make the work of it."""
        callee = look_up(fn)
        check_arguments(callee, args, kwargs, given)
        options = self._options(job_type, given) if given or job_type != _PLAIN.job_type else _PLAIN
        self.runtime.open()
        return make_work(callee, options, self._place(given.get("executor")), self.runtime.kernel_id)

    def _options(self, job_type: str, given: Mapping[str, Any]) -> Options:
        check_job_type(job_type)
        name = check_text("name", given["name"]) if "name" in given else None
        timeout = check_seconds("timeout", given["timeout"]) if "timeout" in given else None
        retries = given.get("retries", 0)
        if isinstance(retries, bool) or not isinstance(retries, int) or not 0 <= retries <= 1000:
            raise InvalidInput(f"retries is {retries!r:.80}: give a whole number from 0 to 1000", argument="retries")
        members = []
        references: dict[str, UUID] = {key: check_id(key, given[key]) for key in _REFERENCES if key in given}
        if references:
            self._check_references(references)
            members += [f'"{key}":"{value}"' for key, value in references.items()]
        if "initial_data" in given:
            members.append(f'"initial_data":{encode_fields("initial_data", given["initial_data"]).json}')
        return Options(job_type, name, timeout, retries, ",".join(members))

    def _check_references(self, references: dict[str, UUID]) -> None:
        self.runtime.open()
        try:
            missing = self.runtime.database.run(
                queries.missing_references, references.get("document_id"), references.get("property_id")
            )
        except DatabaseUnavailable:
            return  # the job is accepted all the same; the row keeps a note if the id turns out to be unknown
        for argument in missing:
            raise InvalidInput(
                f"{argument} is {references[argument]}: no such row in its table; add it there first",
                argument=argument,
            )

    def _place(self, executor: Executor | None) -> Place | None:
        return self._borrowed if executor is None else Borrowed(executor)

    def _check_can_run(self, runtime: Runtime, job_id: UUID) -> str:
        execution = runtime.execution_of(job_id)
        if execution is not None:
            raise InvalidTransition(job_id, execution.status, "in_progress again")
        job: Job | None = runtime.run(queries.get_job, job_id)
        if job is None:
            raise JobNotFound(job_id)
        if job.status.is_final:
            raise InvalidTransition(job_id, job.status, "in_progress")
        return job.job_type

    def _release(self, grace: float) -> None:
        if self._closed:
            return
        runtime, self._closed = self._runtime_used, True
        if runtime is None or runtime.is_closed:
            return
        for execution in runtime.shut_down(runtime.executions.owned_by(self), grace):
            execution.request_stop("cancelled")
        runtime.users -= 1
        if runtime.users <= 0 and not runtime.executions.active:
            runtime.close()


class JobService(_Service):
    """Tracked jobs for asyncio code; every method that reads or writes the database is a coroutine."""

    create_job = awaitable(queries.create_job)
    update_job_status = awaitable(queries.update_job_status)
    start_job = awaitable(queries.start_job)
    complete_job = awaitable(queries.complete_job)
    fail_job = awaitable(queries.fail_job)
    get_job = awaitable(queries.get_job)
    get_jobs_by_status = awaitable(queries.get_jobs_by_status)
    get_all_jobs = awaitable(queries.get_all_jobs)
    get_logs = awaitable(queries.get_logs)
    retry_job = awaitable(queries.retry_job)
    count_jobs = awaitable(queries.count_jobs)
    find_jobs = awaitable(queries.find_jobs)
    delete_jobs = awaitable(queries.delete_jobs)
    init_database = awaitable(init_database)

    async def cancel_job(self, job_id: UUID, *, force: bool = False) -> bool:
        """Ask a job to stop; True if it was unfinished and the request is recorded, False if it had ended.

        Args:
            job_id: which job.
            force: see `JobHandle.cancel`.

        Raises:
            JobNotFound: no such job.
        """
        job_id = check_id("job_id", job_id)
        runtime = self.runtime
        return await runtime.database.in_thread(functools.partial(runtime.cancel, job_id, force=force))

    async def close(self, grace: float = _Service.GRACE) -> None:
        """End this service without blocking the loop.

        Its queued jobs are cancelled; its running ones get `grace` seconds, and are then asked to stop. One that does
        not listen goes on in its thread, and its row says `in_progress` until it has ended.
        """
        await asyncio.to_thread(self._release, grace)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()


class SyncJobService(_Service):
    """Tracked jobs for plain code: the names of `JobService`, blocking."""

    create_job = blocking(queries.create_job)
    update_job_status = blocking(queries.update_job_status)
    start_job = blocking(queries.start_job)
    complete_job = blocking(queries.complete_job)
    fail_job = blocking(queries.fail_job)
    get_job = blocking(queries.get_job)
    get_jobs_by_status = blocking(queries.get_jobs_by_status)
    get_all_jobs = blocking(queries.get_all_jobs)
    get_logs = blocking(queries.get_logs)
    retry_job = blocking(queries.retry_job)
    count_jobs = blocking(queries.count_jobs)
    find_jobs = blocking(queries.find_jobs)
    delete_jobs = blocking(queries.delete_jobs)
    init_database = blocking(init_database)

    def cancel_job(self, job_id: UUID, *, force: bool = False) -> bool:
        """Ask a job to stop; True if it was unfinished and the request is recorded, False if it had ended.

        Args:
            job_id: which job.
            force: see `JobHandle.cancel`.

        Raises:
            JobNotFound: no such job.
        """
        return self.runtime.cancel(check_id("job_id", job_id), force=force)

    def close(self, grace: float = _Service.GRACE) -> None:
        """End this service: queued jobs are cancelled, running ones get `grace` seconds; see `JobService.close`."""
        self._release(grace)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _without_none(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}
