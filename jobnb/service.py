"""`JobService` and `SyncJobService`: the two facades. One line a query, over what runs jobs.

Both offer the same names over the same query functions. A query of a facade sees everything that this process has
recorded before, so `complete_job` right after a job's own end keeps the order of the two.
"""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Self

from jobnb.checks import check_id
from jobnb.db import queries
from jobnb.db.doors import awaitable, blocking
from jobnb.db.schema import init_database
from jobnb.submitting import Submitting

if TYPE_CHECKING:
    from uuid import UUID


class JobService(Submitting):
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
        return await runtime.database.in_thread(functools.partial(runtime.requests.cancel, job_id, force=force))

    async def close(self, grace: float = Submitting.GRACE) -> None:
        """End this service without blocking the loop.

        Its queued jobs are cancelled; its running ones get `grace` seconds, and are then asked to stop. One that does
        not listen goes on in its thread, and its row says `in_progress` until it has ended.
        """
        await asyncio.to_thread(self._release, grace)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()


class SyncJobService(Submitting):
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
        return self.runtime.requests.cancel(check_id("job_id", job_id), force=force)

    def close(self, grace: float = Submitting.GRACE) -> None:
        """End this service: queued jobs are cancelled, running ones get `grace` seconds; see `JobService.close`."""
        self._release(grace)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
