"""The job service framework's own examples, and what its words promise."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import uuid
from typing import Any

import psycopg
import pytest

from jobnb import (
    InvalidInput,
    InvalidTransition,
    JobCreate,
    JobNotFound,
    JobService,
    JobStatus,
    JobUpdate,
    SyncJobService,
    run_as_job,
)
from jobnb.db import tables
from jobnb.models import Job

SPEC_DDL = """
CREATE TABLE documents (id uuid PRIMARY KEY);
CREATE TABLE properties (id uuid PRIMARY KEY);
CREATE TYPE job_status AS ENUM ('scheduled', 'in_progress', 'done', 'failed');
CREATE TABLE jobs (
    job_id        uuid       DEFAULT gen_random_uuid() NOT NULL PRIMARY KEY,
    document_id   uuid       REFERENCES documents ON DELETE CASCADE,
    job_type      varchar(50) NOT NULL,
    status        job_status DEFAULT 'scheduled'::job_status,
    created_at    timestamp  DEFAULT CURRENT_TIMESTAMP,
    started_at    timestamp,
    finished_at   timestamp,
    result        jsonb      DEFAULT '{}'::jsonb,
    error_message text,
    property_id   uuid       REFERENCES properties ON DELETE CASCADE
);
"""


def work(first: int, second: int = 0) -> int:
    return first + second


async def test_a_job_is_managed_by_hand_from_a_coroutine(client: str) -> None:
    service = JobService()
    try:
        await service.init_database()
        job = await service.create_job(
            JobCreate(
                job_type="data_processing",
                document_id=uuid.uuid4(),
                initial_data={"description": "Process user data"},
            )
        )
        await service.start_job(job.job_id)
        await service.complete_job(job.job_id, {"result": 3})
        row = await service.get_job(job.job_id)
        assert row is not None
        assert (row.status, row.result, row.initial_data) == (
            "done",
            {"result": 3},
            {"description": "Process user data"},
        )
        assert row.started_at is not None
        assert row.started_at.tzinfo is not None
    finally:
        await service.close()


async def test_the_thread_pool_example_blocks_the_loop_and_does_not_deadlock(client: str) -> None:
    service = JobService()
    try:
        job = await service.create_job(JobCreate(job_type="async_task"))
        await service.start_job(job.job_id)
        future = service.run_job_async(job.job_id, work, 1, 2)
        result = future.result()
        await service.complete_job(job.job_id, {"analysis": result})
        row = await service.get_job(job.job_id)
        assert row is not None
        assert (row.status, row.result, row.kernel_id is not None) == ("done", {"analysis": 3}, True)
    finally:
        await service.close()


async def test_a_coroutine_function_is_awaited_in_the_job(client: str) -> None:
    async def later() -> str:
        await asyncio.sleep(0.01)
        return "read"

    async with JobService() as service:
        job = await service.create_job(JobCreate(job_type="ocr"))
        assert service.run_job_async(job.job_id, later).result(10) == "read"
        row = await service.get_job(job.job_id)
        assert row is not None
        assert (row.status, row.result) == ("done", {"result": "read"})


async def test_batch_processing_keeps_failures_apart(client: str) -> None:
    async def process(job_list: list[dict[str, Any]]) -> list[int]:
        service = JobService()
        try:
            await service.init_database()
            jobs = [await service.create_job(JobCreate(**job_data)) for job_data in job_list]
            futures = []
            for number, job in enumerate(jobs):
                await service.start_job(job.job_id)
                futures.append((job.job_id, service.run_job_async(job.job_id, lambda n=number: 1 // n)))
            results = []
            for job_id, future in futures:
                try:
                    result = future.result()
                    await service.complete_job(job_id, {"result": result})
                    results.append(result)
                except Exception as e:
                    await service.fail_job(job_id, str(e))
            assert len(await service.get_jobs_by_status("failed")) == 1
            assert (await service.find_jobs(status="failed"))[0].error_message == "integer division or modulo by zero"
            assert len(await service.get_all_jobs()) == await service.count_jobs() == 3
            return results
        finally:
            await service.close()

    assert await process([{"job_type": "batch"}] * 3) == [1, 0]


async def test_the_decorator_tracks_async_functions(client: str) -> None:
    @run_as_job("document_ocr", document_id=uuid.uuid4())
    async def process_document_ocr(document_path: str) -> dict[str, Any]:
        await asyncio.sleep(0)
        return {"text": document_path, "confidence": 0.5, "pages": 1}

    assert await process_document_ocr("a.pdf") == {"text": "a.pdf", "confidence": 0.5, "pages": 1}
    with psycopg.connect(client) as connection:
        row = None
        while row is None or row[0] != "done":
            row = connection.execute("SELECT status::text, result, document_id FROM jobs").fetchone()
            connection.rollback()
    assert row[1] == {"result": {"text": "a.pdf", "confidence": 0.5, "pages": 1}}
    assert row[2] is not None


def test_the_decorator_tracks_plain_functions_and_their_failures(client: str) -> None:
    @run_as_job("division")
    def divide(number: int) -> float:
        return 1 / number

    assert divide(2) == 0.5
    with pytest.raises(ZeroDivisionError):
        divide(0)
    with SyncJobService() as service:
        assert [job.state for job in service.find_jobs(job_type="division")] == ["failed", "done"]


@pytest.fixture
def service(client: str) -> Any:
    with SyncJobService() as made:
        yield made


def test_a_finished_job_is_final(service: SyncJobService, client: str) -> None:
    job = service.create_job(JobCreate(job_type="x"))
    service.complete_job(job.job_id, {"a": 1})
    for change in (
        lambda: service.start_job(job.job_id),
        lambda: service.fail_job(job.job_id, "no"),
        lambda: service.update_job_status(job.job_id, JobUpdate(status="scheduled")),
    ):
        with pytest.raises(InvalidTransition, match="is done: it can't become"):
            change()
    assert service.complete_job(job.job_id, {"a": 2}).result == {"a": 2}
    with psycopg.connect(client) as connection, pytest.raises(psycopg.Error, match="is done: it can't become"):
        connection.execute("UPDATE jobs SET status = 'in_progress'")


def test_cancel_answers_what_happened(service: SyncJobService) -> None:
    job = service.create_job(JobCreate(job_type="x"))
    assert service.cancel_job(job.job_id) is True
    assert service.cancel_job(job.job_id) is False
    row = service.get_job(job.job_id)
    assert row is not None
    assert (row.status, row.state) == (JobStatus.FAILED, "cancelled")
    with pytest.raises(JobNotFound):
        service.cancel_job(uuid.uuid4())
    with pytest.raises(InvalidTransition):
        service.run_job_async(job.job_id, work, 1)
    with pytest.raises(JobNotFound):
        service.run_job_async(uuid.uuid4(), work, 1)


def test_only_finished_jobs_are_deleted(service: SyncJobService) -> None:
    done, waiting = (service.create_job(JobCreate(job_type="x")) for _ in range(2))
    service.complete_job(done.job_id, {})
    assert service.delete_jobs([done.job_id, waiting.job_id]) == 1
    assert [job.job_id for job in service.get_all_jobs()] == [waiting.job_id]


def test_both_facades_offer_the_same() -> None:
    def offered(facade: type) -> dict[str, Any]:
        return {name: getattr(one, "__wrapped__", None) for name, one in vars(facade).items() if name[0] != "_"}

    assert offered(JobService) == offered(SyncJobService)


def test_the_frameworks_own_table_is_upgraded_with_its_rows(home: Any, empty_url: str) -> None:
    with psycopg.connect(empty_url) as connection:
        connection.execute(SPEC_DDL)  # type: ignore[arg-type]
        connection.execute("INSERT INTO documents VALUES (gen_random_uuid())")
        connection.execute(
            "INSERT INTO jobs (job_type, document_id, status, result) SELECT 'old', id, 'done', '{\"n\": 1}' FROM documents"
        )
    with SyncJobService(empty_url) as service:
        service.init_database()
        service.init_database()
        (old,) = service.get_all_jobs()
        assert (old.job_type, old.status, old.result, old.attempt) == ("old", "done", {"n": 1}, 1)
        known = service.create_job(JobCreate(job_type="new", document_id=old.document_id))
        assert service.submit(work, 1, job_type="new", document_id=old.document_id).result() == 1
        assert known.document_id == old.document_id
        with pytest.raises(InvalidInput, match="document_id"):
            service.create_job(JobCreate(job_type="new", document_id=uuid.uuid4()))
        with pytest.raises(InvalidInput, match="no such row"):
            service.submit(work, 1, document_id=uuid.uuid4())
        assert service.count_jobs() == 3


def test_eight_processes_make_the_tables_at_once(home: Any, empty_url: str) -> None:
    code = f"from jobnb import SyncJobService as S\nwith S({empty_url!r}) as s: s.init_database()"
    made = [subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE) for _ in range(8)]
    for process in made:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors.decode()


def test_python_and_schema_sql_agree(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        for table in (tables.jobs, tables.kernels, tables.logs, tables.values):
            found = connection.execute(
                "SELECT column_name, is_nullable = 'YES' FROM information_schema.columns WHERE table_name = %s"
                " AND table_schema = 'public' ORDER BY ordinal_position",
                [table.name],
            ).fetchall()
            assert found == [(column.name, bool(column.nullable)) for column in table.columns]
        labels = connection.execute("SELECT unnest(enum_range(NULL::job_status))::text").fetchall()
    assert [label for (label,) in labels] == list(JobStatus)
    assert list(Job.model_fields) == [column.name for column in tables.jobs.columns]
