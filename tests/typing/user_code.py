# mypy: disable-error-code="unused-awaitable"
"""What a type checker has to know about jobnb: code as its users write it. Checked, never run."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any, assert_type
from uuid import UUID

import jobnb
from jobnb import Job, JobCreate, JobGroup, JobHandle, JobList, JobService, JobStatus, SyncJobService


def train(rounds: int, rate: float = 0.1) -> dict[str, float]:
    return {"rounds": rounds, "rate": rate}


@jobnb.run_as_job("ocr")
def read_page(page: int) -> str:
    return str(page)


@jobnb.run_as_job("ocr")
async def read_pages(first: int, last: int) -> list[str]:
    return [str(page) for page in range(first, last)]


def with_the_client() -> None:
    job = jobnb.submit(train, 3, job_type="analysis")
    assert_type(job, JobHandle[dict[str, float]])
    assert_type(job.result(), dict[str, float])
    assert_type(job.job_id, UUID)
    assert_type(job.job, Job)
    assert_type(job.status, JobStatus)
    assert_type(job.progress, float | None)
    assert_type(job.logs()[0].line, str)
    assert_type(next(job.logs(follow=True)).line, str)
    assert_type(jobnb.map(train, [1, 2, 3]).results()[0], dict[str, float])
    group = jobnb.map(train, [1, 2, 3])
    assert_type(group[0], JobHandle[dict[str, float]])
    assert_type(group[:2], JobGroup[dict[str, float]])
    assert_type(jobnb.jobs()[0], Job)
    assert_type(jobnb.jobs()[:5], JobList)
    assert_type(jobnb.get("01a2").result(), Any)
    assert_type(read_page(1), str)


async def with_await() -> None:
    assert_type(await jobnb.submit(train, 3), dict[str, float])
    assert_type(await read_pages(1, 3), list[str])


async def with_the_service(service: JobService, job_id: UUID) -> None:
    assert_type(await service.create_job(JobCreate(job_type="report")), Job)
    assert_type(await service.get_job(job_id), Job | None)
    assert_type(await service.get_all_jobs(), list[Job])
    assert_type(await service.find_jobs(status="failed", limit=3), list[Job])
    assert_type(await service.cancel_job(job_id), bool)
    assert_type(service.run_job_async(job_id, train, 3), Future[dict[str, float]])


def with_the_blocking_service(service: SyncJobService, job_id: UUID) -> None:
    assert_type(service.create_job(JobCreate(job_type="report")), Job)
    assert_type(service.get_job(job_id), Job | None)
    assert_type(service.count_jobs(job_type="report"), int)
    assert_type(service.delete_jobs([job_id]), int)
