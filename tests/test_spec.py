"""The job service framework's examples, letter by letter but for the import line, and the promises around them."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Dict, List  # noqa: UP035 - the examples spell them so

import psycopg
import pytest

import jobnb
from jobnb import InvalidInput, InvalidTransition, JobCreate, JobNotFound, JobService, SyncJobService, run_as_job
from jobnb.db import schema, tables
from jobnb.models import Job, JobStatus

CHECKOUT = Path(jobnb.__file__).parents[1]

SPEC_DDL = """
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
SPEC_COLUMNS = [
    "job_id", "document_id", "job_type", "status", "created_at", "started_at", "finished_at", "result",
    "error_message", "property_id",
]  # fmt: skip
HOST_TABLES = """
CREATE TABLE documents (id uuid PRIMARY KEY, title text);
CREATE TABLE properties (id uuid PRIMARY KEY, street text);
"""


def run(main: Coroutine[Any, Any, Any]) -> Any:
    """`asyncio.run`, in a thread so that pytest's own loop is not disturbed."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, main).result(50)


def rows(url: str, query: str, *parameters: Any) -> list[Any]:
    with psycopg.connect(url) as connection:
        return connection.execute(query, parameters).fetchall()  # type: ignore[arg-type]


# -- the examples


def test_the_example_of_managing_a_job_by_hand_runs(client: str, capsys: pytest.CaptureFixture[str]) -> None:
    async def your_processing_function() -> int:
        await asyncio.sleep(0)
        return 42

    # fmt: off
    async def main():  # type: ignore[no-untyped-def]
        service = JobService()

        try:
            # Initialize database
            await service.init_database()

            # Create a job
            job_data = JobCreate(
                job_type="data_processing",
                document_id=uuid.uuid4(),
                initial_data={"description": "Process user data"}
            )

            job = await service.create_job(job_data)
            print(f"Created job: {job.job_id}")

            # Start the job
            await service.start_job(job.job_id)

            # Run your task
            result = await your_processing_function()

            # Mark as completed
            await service.complete_job(job.job_id, {"result": result})

        finally:
            await service.close()
    # fmt: on

    run(main())
    ((job_id, *row),) = rows(
        client,
        "SELECT job_id, job_type, status::text, result, initial_data, error_message, document_id IS NULL,"
        " created_at <= started_at AND started_at <= finished_at FROM jobs",
    )
    assert capsys.readouterr().out == f"Created job: {job_id}\n"
    initial = {"description": "Process user data"}
    assert row == ["data_processing", "done", {"result": 42}, initial, None, False, True]


def test_the_examples_work_on_a_database_with_nothing_in_it(
    home: Path, empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", empty_url)

    async def main() -> Job:
        service = JobService()
        try:
            await service.init_database()
            return await service.create_job(JobCreate(job_type="async_task", document_id=uuid.uuid4()))
        finally:
            await service.close()

    job = run(main())
    assert rows(empty_url, "SELECT job_id, status::text FROM jobs") == [(job.job_id, "scheduled")]


def test_the_example_of_the_thread_pool_runs(client: str) -> None:
    arg1, arg2 = 20, 22
    seen: list[str] = []

    def your_long_running_function(first: int, second: int) -> int:
        seen.extend(status for (status,) in rows(client, "SELECT status::text FROM jobs"))
        return first + second

    # fmt: off
    async def main():  # type: ignore[no-untyped-def]
        service = JobService()

        try:
            await service.init_database()

            # Create and start job
            job = await service.create_job(JobCreate(job_type="async_task"))
            await service.start_job(job.job_id)

            # Submit to thread pool
            future = service.run_job_async(
                job.job_id,
                your_long_running_function,
                arg1, arg2
            )

            # Wait for completion
            result = future.result()
            await service.complete_job(job.job_id, {"result": result})

        finally:
            await service.close()
    # fmt: on

    run(main())
    assert seen == ["in_progress"]
    assert rows(client, "SELECT status::text, result FROM jobs") == [("done", {"result": 42})]


def test_the_example_of_the_decorator_runs(client: str) -> None:
    async def perform_ocr_processing() -> list[str]:
        await asyncio.sleep(0)
        return ["a", "b"]

    # fmt: off
    @run_as_job("document_processing", document_id=uuid.uuid4())
    async def process_document():  # type: ignore[no-untyped-def]
        # Your processing logic here
        result = await perform_ocr_processing()
        return result  # noqa: RET504
    # fmt: on

    async def main() -> Any:
        result = await process_document()
        return result  # noqa: RET504 - as in the example

    assert run(main()) == ["a", "b"]
    settle()
    found = rows(client, "SELECT job_type, status::text, result, document_id IS NULL FROM jobs")
    assert found == [("document_processing", "done", {"result": ["a", "b"]}, False)]


def test_the_decorator_runs_a_plain_function_too(client: str) -> None:
    document = uuid.uuid4()
    threads: list[threading.Thread] = []

    @run_as_job("document_processing", document_id=document)
    def process_document(pages: int) -> int:
        """Count."""
        threads.append(threading.current_thread())
        return pages * 2

    assert process_document(4) == 8
    assert threads == [threading.current_thread()]
    assert (process_document.__name__, process_document.__doc__) == ("process_document", "Count.")
    settle()
    found = rows(client, "SELECT status::text, result, document_id FROM jobs")
    assert found == [("done", {"result": 8}, document)]


def test_the_example_of_processing_documents_runs(client: str) -> None:
    document_uuid = uuid.uuid4()

    async def perform_ocr(document_path: str) -> str:
        if document_path == "blank.pdf":
            raise ValueError("no page in blank.pdf")
        return "text of " + document_path

    async def extract_text(ocr_result: str) -> dict[str, Any]:
        return {"text": ocr_result, "confidence": 0.9, "page_count": 3}

    # fmt: off
    @run_as_job("document_ocr", document_id=document_uuid)
    async def process_document_ocr(document_path: str):  # type: ignore[no-untyped-def]
        # OCR processing logic
        ocr_result = await perform_ocr(document_path)

        # Extract text and metadata
        extracted_data = await extract_text(ocr_result)

        return {
            "text": extracted_data["text"],
            "confidence": extracted_data["confidence"],
            "pages": extracted_data["page_count"]
        }
    # fmt: on

    value = {"text": "text of a.pdf", "confidence": 0.9, "pages": 3}
    assert run(process_document_ocr("a.pdf")) == value
    with pytest.raises(ValueError, match=r"no page in blank\.pdf"):
        run(process_document_ocr("blank.pdf"))
    settle()
    found = rows(client, "SELECT status::text, result, document_id, error_message FROM jobs ORDER BY job_id")
    assert found == [
        ("done", {"result": value}, document_uuid, None),
        ("failed", {}, document_uuid, "ValueError: no page in blank.pdf"),
    ]


def test_the_example_of_analysing_data_runs(client: str) -> None:
    def perform_data_analysis(dataset: str, records: int) -> dict[str, Any]:
        return {"dataset": dataset, "mean": records / 4}

    # fmt: off
    async def run_data_analysis():  # type: ignore[no-untyped-def]
        service = JobService()

        try:
            await service.init_database()

            # Create analysis job
            job = await service.create_job(JobCreate(
                job_type="data_analysis",
                initial_data={"dataset": "user_behavior", "records": 10000}
            ))

            # Start job
            await service.start_job(job.job_id)

            # Run analysis in background
            future = service.run_job_async(
                job.job_id,
                perform_data_analysis,
                "user_behavior",
                10000
            )

            # Wait for completion
            result = future.result()
            await service.complete_job(job.job_id, {"analysis": result})

            return result

        finally:
            await service.close()
    # fmt: on

    value = {"dataset": "user_behavior", "mean": 2500.0}
    assert run(run_data_analysis()) == value
    found = rows(client, "SELECT status::text, result, initial_data FROM jobs")
    assert found == [("done", {"analysis": value}, {"dataset": "user_behavior", "records": 10000})]


def test_the_example_of_a_batch_goes_on_after_an_item_that_fails(client: str) -> None:
    def process_single_job(job_id: uuid.UUID) -> str:
        ((job_type,),) = rows(client, "SELECT job_type FROM jobs WHERE job_id = %s", job_id)
        if job_type == "bad":
            raise ValueError("this one is broken")
        return str(job_type)

    # fmt: off
    async def process_batch_jobs(job_list: List[Dict[str, Any]]):  # type: ignore[no-untyped-def]  # noqa: UP006
        service = JobService()

        try:
            await service.init_database()

            jobs = []
            for job_data in job_list:
                job = await service.create_job(JobCreate(**job_data))
                jobs.append(job)

            # Start all jobs
            futures = []
            for job in jobs:
                await service.start_job(job.job_id)
                future = service.run_job_async(
                    job.job_id,
                    process_single_job,
                    job.job_id
                )
                futures.append((job.job_id, future))

            # Wait for all jobs to complete
            results = []
            for job_id, future in futures:
                try:
                    result = future.result()
                    await service.complete_job(job_id, {"result": result})
                    results.append(result)
                except Exception as e:
                    await service.fail_job(job_id, str(e))

            return results

        finally:
            await service.close()
    # fmt: on

    assert run(process_batch_jobs([{"job_type": kind} for kind in ("first", "bad", "last")])) == ["first", "last"]
    assert rows(client, "SELECT job_type, status::text, result, error_message FROM jobs ORDER BY job_id") == [
        ("first", "done", {"result": "first"}, None),
        ("bad", "failed", {}, "this one is broken"),
        ("last", "done", {"result": "last"}, None),
    ]


@pytest.mark.parametrize("fails", [False, True])
def test_the_example_of_handling_errors_runs(client: str, caplog: pytest.LogCaptureFixture, fails: bool) -> None:
    logger = logging.getLogger("example")

    async def your_function() -> int:
        if fails:
            raise KeyError("price")
        return 5

    async def main() -> None:
        async with JobService() as service:
            job_id = (await service.create_job(JobCreate(job_type="pricing"))).job_id
            await service.start_job(job_id)
            # fmt: off
            try:
                # Your job logic
                result = await your_function()
                await service.complete_job(job_id, {"result": result})

            except Exception as e:
                # Log the error
                logger.error(f"Job {job_id} failed: {e}")

                # Mark job as failed with error details
                await service.fail_job(job_id, str(e))

                # Re-raise if needed
                raise
            # fmt: on

    if fails:
        with pytest.raises(KeyError):
            run(main())
    else:
        run(main())
    expected = ("failed", {}, "'price'") if fails else ("done", {"result": 5}, None)
    assert rows(client, "SELECT status::text, result, error_message FROM jobs") == [expected]
    assert ("failed: 'price'" in caplog.text) is fails


# -- the promises


def test_both_services_offer_the_same_names_over_the_same_queries() -> None:
    def offered(service: type) -> dict[str, Any]:
        return {name: getattr(one, "__wrapped__", None) for name, one in vars(service).items() if name[0] != "_"}

    assert offered(JobService) == offered(SyncJobService)
    named = {
        "create_job", "update_job_status", "start_job", "complete_job", "fail_job", "get_job", "get_jobs_by_status",
        "get_all_jobs", "run_job_async", "cancel_job", "is_job_running", "close", "init_database",
    }  # fmt: skip
    for service in (JobService, SyncJobService):
        assert named <= set(dir(service))


@pytest.fixture
def service(client: str) -> Iterator[SyncJobService]:
    with SyncJobService() as made:
        yield made


Change = Callable[[SyncJobService, uuid.UUID], object]
FINISH: dict[str, Change] = {
    "done": lambda service, job_id: service.complete_job(job_id, {"n": 1}),
    "failed": lambda service, job_id: service.fail_job(job_id, "broken"),
}
CHANGES: dict[str, Change] = {"in_progress": lambda service, job_id: service.start_job(job_id), **FINISH}


@pytest.mark.parametrize(
    ("current", "wanted"),
    [("done", "in_progress"), ("done", "failed"), ("failed", "in_progress"), ("failed", "done")],
)
def test_a_finished_job_refuses_another_state_and_names_both(
    service: SyncJobService, current: str, wanted: str
) -> None:
    job = service.create_job(JobCreate(job_type="x"))
    before = FINISH[current](service, job.job_id)
    with pytest.raises(InvalidTransition, match=f"is {current}: it can't become {wanted}") as refused:
        CHANGES[wanted](service, job.job_id)
    assert (refused.value.current, refused.value.wanted, refused.value.job_id) == (current, wanted, job.job_id)
    assert service.get_job(job.job_id) == before


def test_completing_again_replaces_the_result_and_nothing_else(service: SyncJobService) -> None:
    job_id = service.create_job(JobCreate(job_type="x")).job_id
    first = service.complete_job(job_id, {"z": 1, "a": 2})
    second = service.complete_job(job_id, {"n": 2})
    changed = {"result", "result_order"}
    assert first.result == {"z": 1, "a": 2}
    assert second.result == {"n": 2}
    assert second.model_dump(exclude=changed) == first.model_dump(exclude=changed)


def test_cancel_says_true_then_false_and_knows_no_strangers(service: SyncJobService) -> None:
    waiting, done = (service.create_job(JobCreate(job_type="x")).job_id for _ in range(2))
    service.complete_job(done, {})
    assert service.cancel_job(waiting) is True
    assert service.cancel_job(waiting) is False
    assert service.cancel_job(done) is False
    with pytest.raises(JobNotFound):
        service.cancel_job(uuid.uuid4())


@pytest.mark.parametrize("finished", ["done", "failed"])
def test_the_table_itself_keeps_a_finished_row_from_other_writers(
    service: SyncJobService, client: str, finished: str
) -> None:
    job_id = service.create_job(JobCreate(job_type="x")).job_id
    FINISH[finished](service, job_id)
    for wanted in {"scheduled", "in_progress", "done", "failed"} - {finished}:
        with (
            psycopg.connect(client) as connection,
            pytest.raises(psycopg.Error, match=f"{job_id} is {finished}: it can't become {wanted}"),
        ):
            connection.execute("UPDATE jobs SET status = %s WHERE job_id = %s", [wanted, job_id])
    assert rows(client, "SELECT status::text FROM jobs") == [(finished,)]


# -- the tables


def test_an_unknown_document_is_taken_in_where_the_table_is_jobnbs(service: SyncJobService, client: str) -> None:
    document, house = uuid.uuid4(), uuid.uuid4()
    service.create_job(JobCreate(job_type="x", document_id=document))
    service.submit(int, document_id=str(uuid.uuid4()), property_id=house).result()
    settle()
    assert rows(client, "SELECT count(*) FROM documents") == [(2,)]
    assert rows(client, "SELECT document_id FROM documents WHERE document_id = %s", document) == [(document,)]
    assert rows(client, "SELECT property_id FROM properties") == [(house,)]


@pytest.fixture
def host_url(home: Path, empty_url: str) -> str:
    """A database as an application with the framework's own tables left it, with rows in it."""
    with psycopg.connect(empty_url) as connection:
        connection.execute(HOST_TABLES + SPEC_DDL)  # type: ignore[arg-type]
        connection.execute("INSERT INTO documents VALUES (gen_random_uuid(), 'contract')")
        connection.execute("INSERT INTO properties VALUES (gen_random_uuid(), 'Elm Street')")
        connection.execute(
            "INSERT INTO jobs (job_type, document_id, property_id, status, started_at, finished_at, result,"
            " error_message) SELECT concat('old ', kind), documents.id, properties.id, kind::job_status,"
            " '2024-01-02 03:04:05.678901', NULL, '{\"n\": [1, null]}', 'words' FROM documents, properties,"
            " unnest(ARRAY['scheduled', 'in_progress', 'done', 'failed', NULL]) AS kind"
        )
    return empty_url


def test_the_frameworks_own_table_is_upgraded_in_place_and_nothing_is_lost(host_url: str) -> None:
    every = f"SELECT {', '.join(SPEC_COLUMNS)} FROM jobs ORDER BY job_id"
    tables_of_host = "SELECT d.*, p.* FROM documents d, properties p"
    before, host_before = rows(host_url, every), rows(host_url, tables_of_host)
    with SyncJobService(host_url) as service:
        service.init_database()
        service.init_database()
        assert {job.job_id for job in service.get_all_jobs()} == {row[0] for row in before}
    assert len(before) == 5
    assert rows(host_url, every) == before
    assert rows(host_url, tables_of_host) == host_before
    assert columns(host_url, "jobs") == [column.name for column in tables.jobs.columns]
    assert columns(host_url, "jobs")[: len(SPEC_COLUMNS)] == SPEC_COLUMNS
    assert columns(host_url, "documents") == ["id", "title"]


@pytest.mark.parametrize("argument", ["document_id", "property_id"])
def test_an_unknown_reference_is_refused_where_the_table_is_the_hosts(host_url: str, argument: str) -> None:
    unknown = uuid.uuid4()
    with SyncJobService(host_url) as service:
        service.init_database()
        for attempt in (
            lambda: service.create_job(JobCreate(job_type="x", **{argument: unknown})),
            lambda: service.submit(int, **{argument: unknown}),  # type: ignore[arg-type]
        ):
            with pytest.raises(InvalidInput, match=argument) as refused:
                attempt()
            assert str(unknown) in str(refused.value)
            assert refused.value.argument == argument
        assert service.count_jobs() == 5


def test_eight_processes_make_the_tables_of_an_empty_database_at_once(home: Path, empty_url: str) -> None:
    code = (
        "import sys; from jobnb import SyncJobService; import jobnb.db.schema, psycopg; print('ready', flush=True)\n"
        f"sys.stdin.readline()\nwith SyncJobService({empty_url!r}) as service: service.init_database()"
    )
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    made = [subprocess.Popen([sys.executable, "-c", code], cwd=CHECKOUT, text=True, **pipes) for _ in range(8)]
    for process in made:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in made:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    ends = [process.communicate(timeout=50) for process in made]
    assert [process.returncode for process in made] == [0] * 8, [errors for _, errors in ends]
    assert rows(empty_url, "SELECT version FROM jobnb_schema") == [(schema.VERSION,)]


@pytest.mark.parametrize("name", ["jobs", "kernels", "logs", "values"])
def test_the_columns_in_python_are_those_of_the_server_in_order(database_url: str, name: str) -> None:
    table = getattr(tables, name)
    assert columns(database_url, table.name) == [column.name for column in table.columns]


def test_the_statuses_and_the_model_are_those_of_the_server(database_url: str) -> None:
    labels = rows(database_url, "SELECT unnest(enum_range(NULL::job_status))::text")
    assert [label for (label,) in labels] == [status.value for status in JobStatus]
    assert list(Job.model_fields) == columns(database_url, "jobs")


def columns(url: str, table: str) -> list[str]:
    found = rows(
        url,
        "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' AND table_name = %s"
        " ORDER BY ordinal_position",
        table,
    )
    return [name for (name,) in found]


def settle() -> None:
    """Come back when every event of this process is in the database."""
    jobnb.jobs()
