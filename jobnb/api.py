"""What a notebook calls: `submit`, `map`, `get`, `jobs`, `configure`, `run_as_job`, over one default service."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import sys
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar
from uuid import UUID

from jobnb.calls import look_up
from jobnb.checks import check_job_type
from jobnb.db import queries
from jobnb.errors import AmbiguousJobId, InvalidInput, JobNotFound
from jobnb.groups import JobList
from jobnb.handle import JobHandle
from jobnb.options import chosen
from jobnb.service import SyncJobService
from jobnb.settings import Settings
from jobnb.tracking import feeds
from jobnb.tracking.progress import current_execution

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime, timedelta

    from jobnb.executors.borrowed import Executor
    from jobnb.groups import JobGroup
    from jobnb.runtime import Runtime
    from jobnb.tracking.execution import Execution

P = ParamSpec("P")
R = TypeVar("R")


def default_service() -> SyncJobService:
    """The service behind this module's functions; made at the first call, or by `configure`."""
    service: SyncJobService | None = sys.__dict__.get("_jobnb_default_service")
    if service is None:
        service = sys.__dict__["_jobnb_default_service"] = SyncJobService(settings=Settings.load())
    return service


def configure(
    database_url: str | None = None,
    executor: Executor | None = None,
    max_workers: int | None = None,
    display: str | None = None,
    **settings: Any,
) -> None:
    """Choose where jobs are kept and run from now on; jobs that run already go on where they are.

    Args:
        database_url: which PostgreSQL; None for `DATABASE_URL`, `.env` or the embedded server.
        executor: where jobs run; None for jobnb's own threads. The caller owns it.
        max_workers: how many jobs run at once in jobnb's own threads.
        display: how jobs show themselves in a notebook: auto, widget, html, text or none.
        settings: any other field of `Settings`: home, log_lines, exit_grace, lease, auto_progress.

    Raises:
        ConfigurationError: a value that can't be right.
    """
    loaded = Settings.load(database_url=database_url, max_workers=max_workers, display=display, **settings)
    sys.__dict__["_jobnb_default_service"] = SyncJobService(settings=loaded, executor=executor)
    feeds.switch(loaded.auto_progress)


def submit(
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
    """Run `fn(*args, **kwargs)` as a job and return at once; see `SyncJobService.submit` for the options."""
    given = chosen(job_type, name, document_id, property_id, initial_data, timeout, retries, executor)
    return default_service().submit_call(fn, args, kwargs, given)


def map(
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
    """Run `fn` once for each item, each time as a job of its own; see `SyncJobService.map` for the options."""
    return default_service().map(
        fn,
        *iterables,
        job_type=job_type,
        name=name,
        document_id=document_id,
        property_id=property_id,
        initial_data=initial_data,
        timeout=timeout,
        retries=retries,
        executor=executor,
    )


def get(job_id: UUID | str) -> JobHandle[Any]:
    """The handle of any job of any process, running or long finished.

    Args:
        job_id: its id; the eight digits that are shown; or any beginning of the id of at least four digits that no
            other job shares. (Ids begin with the time, so jobs of the same minute share their first eight digits.)

    Raises:
        JobNotFound: no such job.
        AmbiguousJobId: several jobs fit; the message lists them.
        InvalidInput: not an id.
    """
    runtime = default_service().runtime
    full = _full_id(job_id)
    execution = runtime.execution_of(full)
    if execution is not None:
        return JobHandle(runtime, str(full), execution)
    job = runtime.run(queries.get_job, full)
    if job is None:
        raise JobNotFound(full)
    return JobHandle(runtime, str(full), None, job)


def jobs(
    status: str | None = None,
    job_type: str | None = None,
    since: datetime | timedelta | None = None,
    search: str | None = None,
    limit: int = 100,
) -> JobList:
    """The newest jobs that fit, of every process; a table where it is displayed. See `find_jobs` for the arguments."""
    found = default_service().run(queries.find_jobs, status, job_type, since, search, limit)
    return JobList(found)


def current_job() -> JobHandle[Any] | None:
    """The job whose code this is; None outside of jobs."""
    execution = current_execution()
    return None if execution is None else JobHandle(default_service().runtime, execution.job_id, execution)


def run_as_job(
    job_type: str, document_id: UUID | str | None = None, property_id: UUID | str | None = None
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make every call of a function a tracked job. For `async def` and for `def`.

    The call itself stays what it was: a coroutine function is awaited in the caller's own loop, a plain function runs
    in the caller's own thread; both return their value or raise their exception, and the job records it.

    Args:
        job_type: the kind of job.
        document_id: the document every job belongs to.
        property_id: the property every job belongs to.

    Raises:
        InvalidInput: something that can't be right, at the decoration.
    """
    check_job_type(job_type)
    given = chosen(job_type, None, document_id, property_id, None, None, 0, None)

    def decorate(fn: Callable[P, R]) -> Callable[P, R]:
        def accept(args: Any, kwargs: Any) -> tuple[Runtime, Execution]:
            service = default_service()
            return service.runtime, service.track_here(fn, args, kwargs, given)

        @functools.wraps(fn)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            runtime, execution = accept(args, kwargs)
            contextvars.copy_context().run(runtime.runner.run, execution)
            return JobHandle[R](runtime, execution.job_id, execution).result()

        @functools.wraps(fn)
        async def run_async(*args: P.args, **kwargs: P.kwargs) -> Any:
            runtime, execution = await asyncio.to_thread(accept, args, kwargs)
            await runtime.runner.run_here(execution)
            return JobHandle[R](runtime, execution.job_id, execution).result()

        return run_async if look_up(fn).is_async else run  # type: ignore[return-value] # a coroutine function for one

    return decorate


def _full_id(job_id: object) -> UUID:
    if isinstance(job_id, UUID):
        return job_id
    if not isinstance(job_id, str):
        raise InvalidInput(f"job_id is {job_id!r:.80}: give a UUID or its digits", argument="job_id")
    digits = job_id.strip().strip("{}").lower().removeprefix("urn:uuid:").replace("-", "")
    if not 4 <= len(digits) <= 32 or any(digit not in "0123456789abcdef" for digit in digits):
        raise InvalidInput(
            f"job_id is {job_id!r:.80}: give a UUID, the 8 digits that are shown, or at least 4 of its first digits",
            argument="job_id",
        )
    if len(digits) == 32:
        return UUID(digits)
    found = default_service().run(queries.find_job_ids, digits)
    if not found:
        raise JobNotFound(job_id)
    if len(found) > 1:
        raise AmbiguousJobId(job_id, found)
    return found[0]
