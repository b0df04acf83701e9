"""`Submitting`: what both facades share. How a function becomes a job of this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar
from uuid import UUID, uuid4

from jobnb.calls import check_arguments, look_up, zipped
from jobnb.checks import check_id
from jobnb.db import queries
from jobnb.display import outlet
from jobnb.errors import InvalidTransition, JobNotFound, ServiceClosed
from jobnb.executors.borrowed import Borrowed, Executor
from jobnb.groups import JobGroup
from jobnb.handle import JobHandle
from jobnb.members import Members
from jobnb.options import chosen, make_options
from jobnb.process import runtime_for
from jobnb.settings import Settings
from jobnb.states import JobStatus
from jobnb.tracking.work import Options, Place, make_work

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from concurrent.futures import Future

    from sqlalchemy import Connection

    from jobnb.runtime import Runtime
    from jobnb.tracking.execution import Execution

P = ParamSpec("P")
R = TypeVar("R")


class Submitting:
    """A service as far as it runs jobs: where they run, and which of them it started.

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
        given = chosen(job_type, name, document_id, property_id, initial_data, timeout, retries, executor)
        return self.submit_call(fn, args, kwargs, given)

    def submit_call(
        self, fn: Callable[..., R], args: tuple[Any, ...], kwargs: dict[str, Any], given: Mapping[str, Any]
    ) -> JobHandle[R]:
        """`submit` with those of its options that are not the default apart from the function's own arguments."""
        callee = look_up(fn)
        check_arguments(callee, args, kwargs, given)
        runtime = self.runtime
        options = make_options(runtime, given)
        runtime.open()
        work = make_work(callee, options, self._place(given.get("executor")), runtime.kernel_id)
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

        In jobnb's own threads they begin in order; other maps, and jobs that are submitted later, take turns with them.

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
        given = chosen(job_type, name, document_id, property_id, initial_data, timeout, retries, executor)
        options = make_options(self.runtime, given)
        callee = look_up(fn)
        items = zipped(iterables)
        if items:
            check_arguments(callee, items[0], {}, {})
        runtime = self.runtime
        runtime.open()
        work = make_work(callee, options, self._place(executor), runtime.kernel_id)
        group_id = uuid4()
        mapped = runtime.submit_all(work, fn, items, group_id, self, self._announcer)
        return JobGroup(group_id, Members(runtime, mapped, range(len(mapped))))

    def run_job_async(self, job_id: UUID, task_func: Callable[..., R], /, *args: Any, **kwargs: Any) -> Future[R]:
        """Run `task_func(*args, **kwargs)` as the job that `create_job` made; its start and end are recorded.

        Waiting for the future with `result()` is safe in a coroutine too; `await asyncio.wrap_future(future)` does
        not block the loop.

        Raises:
            JobNotFound: no such job.
            InvalidTransition: it has ended, or runs already, here or in another process.
            InvalidInput: the arguments do not fit the function.
        """
        job_id = check_id("job_id", job_id)
        callee = look_up(task_func)
        check_arguments(callee, args, kwargs, {})
        runtime = self.runtime
        runtime.open()
        options = Options(self._take(runtime, job_id))
        work = make_work(callee, options, self._place(None), runtime.kernel_id)
        _, future = runtime.adopt(job_id, work, task_func, args, kwargs, self, self._announcer)
        return future

    def track_here(
        self,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        given: Mapping[str, Any],
    ) -> Execution:
        """Accept a call that the caller runs himself, through `runtime.runner`; the options are those of `submit`."""
        callee = look_up(fn)
        check_arguments(callee, args, kwargs, {})
        self.runtime.open()
        work = make_work(callee, make_options(self.runtime, given), None, self.runtime.kernel_id)
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

    def _place(self, executor: Executor | None) -> Place | None:
        return self._borrowed if executor is None else Borrowed(executor)

    def _take(self, runtime: Runtime, job_id: UUID) -> str:
        execution = runtime.execution_of(job_id)
        if execution is not None:
            raise InvalidTransition(job_id, execution.status, "in_progress again")
        return runtime.run(queries.take_job, job_id, UUID(runtime.kernel_id))

    def _release(self, grace: float) -> None:
        if self._closed:
            return
        runtime, self._closed = self._runtime_used, True
        if runtime is None or runtime.is_closed:
            return
        for execution in runtime.shut_down(runtime.executions.owned_by(self), grace):
            execution.request_stop("cancelled")
        runtime.users -= 1
        if runtime.users <= 0 and not runtime.executions.are_active:
            runtime.close()
