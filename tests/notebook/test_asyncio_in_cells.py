"""`asyncio.run(main())` in the cells of a real kernel: every cell is answered, and the framework's examples run."""

from __future__ import annotations

import asyncio
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from kernel_driver import Kernel, running_kernel

from jobnb.jupyter.loop import enable_asyncio_run


@pytest.fixture
def fresh(module_database: str, tmp_path: Path) -> Iterator[Kernel]:
    """A kernel in which nothing was loaded."""
    settings = {"DATABASE_URL": module_database, "JOBNB_HOME": str(tmp_path / "home"), "JOBNB_DISPLAY": "none"}
    with running_kernel(tmp_path, **settings) as running:
        yield running


QUEUED = (
    "asyncio.run(asyncio.sleep(0.5)); print('first')",
    "print('second')",
    "asyncio.run(asyncio.sleep(0.05)); print('third')",
    "await asyncio.sleep(0.05); print('fourth')",
    "asyncio.run(nested()); print('fifth')",
    "print('sixth')",
)
NESTED = """
import asyncio
async def nested():
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        group.create_task(asyncio.sleep(0.05))
    asyncio.run(asyncio.sleep(0.05))
"""


def run_all(kernel: Kernel) -> list[str]:
    """Queue all cells at once, as "Run All" does; what each has printed."""
    cells = [kernel.start(code) for code in QUEUED]
    for cell in cells:
        cell.wait(15)
    return [cell.text.strip() for cell in cells]


ALL = ["first", "second", "third", "fourth", "fifth", "sixth"]


def test_run_all_loses_no_cell(fresh: Kernel) -> None:
    assert fresh.run(f"%load_ext jobnb\n{NESTED}", 60).reply["status"] == "ok"
    assert run_all(fresh) == ALL
    assert run_all(fresh) == ALL


def test_an_old_nest_asyncio_is_taken_over(fresh: Kernel) -> None:
    assert (
        fresh.run("import asyncio, nest_asyncio\nnest_asyncio.apply()\nasyncio.run(asyncio.sleep(0, 1))").result == "1"
    )
    assert fresh.run(f"%load_ext jobnb\n{NESTED}", 60).reply["status"] == "ok"
    assert run_all(fresh) == ALL


def test_importing_jobnb_and_running_jobs_patches_nothing(fresh: Kernel) -> None:
    code = "import asyncio, jobnb\nrun = asyncio.run\njobnb.submit(sum, [1, 2]).result(), asyncio.run is asyncio.runners.run"
    assert fresh.run(code, 60).result == "(3, True)"
    assert fresh.run("asyncio.run(asyncio.sleep(0))").reply["evalue"].startswith("asyncio.run() cannot be called")


def test_other_threads_keep_asyncios_own_run(fresh: Kernel) -> None:
    fresh.run("%load_ext jobnb", 60)
    code = """
    import asyncio, jobnb
    async def which():
        return asyncio.get_running_loop()
    loops = [jobnb.submit(lambda: asyncio.run(which())).result() for _ in range(3)]
    [loop.is_closed() for loop in loops], len(set(map(id, loops)))
    """
    assert fresh.run(textwrap.dedent(code)).result == "([True, True, True], 3)"


def test_an_extension_loaded_by_the_configuration_works_too(module_database: str, tmp_path: Path) -> None:
    profile = tmp_path / "ipython" / "profile_default"
    profile.mkdir(parents=True)
    (profile / "ipython_kernel_config.py").write_text("c.InteractiveShellApp.extensions = ['jobnb']\n")
    with running_kernel(tmp_path, DATABASE_URL=module_database, JOBNB_HOME=str(tmp_path / "home")) as running:
        assert running.run(f"{NESTED}\nasyncio.run(asyncio.sleep(0, 'ran'))").result == "'ran'"
        assert run_all(running) == ALL


def test_without_a_running_loop_nothing_is_changed() -> None:
    run = asyncio.run
    assert enable_asyncio_run() is False
    assert asyncio.run is run


MANUAL = """
import asyncio, uuid
from jobnb import JobService, JobCreate

async def your_processing_function():
    await asyncio.sleep(0.01)
    return "processed"

async def main():
    service = JobService()
    try:
        await service.init_database()
        job_data = JobCreate(
            job_type="data_processing", document_id=uuid.uuid4(), initial_data={"description": "Process user data"}
        )
        job = await service.create_job(job_data)
        print(f"Created job: {job.job_id}")
        await service.start_job(job.job_id)
        result = await your_processing_function()
        await service.complete_job(job.job_id, {"result": result})
        return (await service.get_job(job.job_id)).status.value, (await service.get_job(job.job_id)).result
    finally:
        await service.close()

asyncio.run(main())
"""

THREADS = """
import asyncio, time
from jobnb import JobService, JobCreate

def your_long_running_function(arg1, arg2):
    time.sleep(0.05)
    return arg1 + arg2

async def main():
    service = JobService()
    try:
        await service.init_database()
        job = await service.create_job(JobCreate(job_type="async_task"))
        await service.start_job(job.job_id)
        future = service.run_job_async(job.job_id, your_long_running_function, 20, 22)
        result = future.result()
        await service.complete_job(job.job_id, {"result": result})
        return (await service.get_job(job.job_id)).result
    finally:
        await service.close()

asyncio.run(main())
"""

DECORATOR = """
import asyncio, uuid
from jobnb import run_as_job

async def perform_ocr_processing():
    await asyncio.sleep(0.01)
    return {"text": "hello", "confidence": 0.9, "pages": 2}

@run_as_job("document_processing", document_id=uuid.uuid4())
async def process_document():
    result = await perform_ocr_processing()
    return result

result = await process_document()
result, asyncio.run(process_document()) == result
"""

ANALYSIS = """
import asyncio
from jobnb import JobService, JobCreate

def perform_data_analysis(dataset, records):
    return {"dataset": dataset, "mean": records / 2}

async def run_data_analysis():
    service = JobService()
    try:
        await service.init_database()
        job = await service.create_job(JobCreate(
            job_type="data_analysis", initial_data={"dataset": "user_behavior", "records": 10000}
        ))
        await service.start_job(job.job_id)
        future = service.run_job_async(job.job_id, perform_data_analysis, "user_behavior", 10000)
        result = future.result()
        await service.complete_job(job.job_id, {"analysis": result})
        return result
    finally:
        await service.close()

asyncio.run(run_data_analysis())
"""

BATCH = """
import asyncio
from jobnb import JobService, JobCreate

def process_single_job(job_id):
    if not hasattr(process_single_job, "seen"):
        process_single_job.seen = job_id
        raise ValueError("the first one is broken")
    return "ok"

async def process_batch_jobs(job_list):
    service = JobService()
    try:
        await service.init_database()
        jobs = []
        for job_data in job_list:
            job = await service.create_job(JobCreate(**job_data))
            jobs.append(job)
        futures = []
        for job in jobs:
            await service.start_job(job.job_id)
            future = service.run_job_async(job.job_id, process_single_job, job.job_id)
            futures.append((job.job_id, future))
        results = []
        for job_id, future in futures:
            try:
                result = future.result()
                await service.complete_job(job_id, {"result": result})
                results.append(result)
            except Exception as e:
                await service.fail_job(job_id, str(e))
        return results, sorted([(await service.get_job(job.job_id)).status.value for job in jobs])
    finally:
        await service.close()

asyncio.run(process_batch_jobs([{"job_type": "batch"}] * 3))
"""

HANDLING = """
import asyncio, logging
from jobnb import JobService, JobCreate
logger = logging.getLogger("app")

async def your_function():
    raise OSError("disk full")

async def main():
    service = JobService()
    job_id = (await service.create_job(JobCreate(job_type="handled"))).job_id
    try:
        try:
            result = await your_function()
            await service.complete_job(job_id, {"result": result})
        except Exception as e:
            logger.error(f"Job {job_id} failed: {e}")
            await service.fail_job(job_id, str(e))
            raise
    except OSError:
        return (await service.get_job(job_id)).error_message
    finally:
        await service.close()

asyncio.run(main())
"""


def test_the_examples_of_the_framework_run_in_cells_by_run_all(fresh: Kernel) -> None:
    fresh.run("%load_ext jobnb", 60)
    cells = [fresh.start(code) for code in (MANUAL, THREADS, DECORATOR, ANALYSIS, BATCH, HANDLING)]
    assert [cell.wait(30)["status"] for cell in cells] == ["ok"] * 6, [cell.error for cell in cells]
    document = "{'text': 'hello', 'confidence': 0.9, 'pages': 2}"
    assert [cell.result for cell in cells] == [
        "('done', {'result': 'processed'})",
        "{'result': 42}",
        f"({document}, True)",
        "{'dataset': 'user_behavior', 'mean': 5000.0}",
        "(['ok', 'ok'], ['done', 'done', 'failed'])",
        "'disk full'",
    ]
    assert cells[0].text.startswith("Created job: ")
