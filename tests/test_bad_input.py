"""What can't be right is refused at the call, with words, before anything is stored."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from typing import Any

import pytest

import jobnb
from jobnb import ConfigurationError, DatabaseUnavailable, InvalidInput, JobCreate, SyncJobService
from jobnb.models import check_limit


def add(first: int, second: int = 0) -> int:
    return first + second


def generate() -> Any:
    yield 1


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: jobnb.submit(add, 1, job_type=None), "job_type is None"),
        (lambda: jobnb.submit(add, 1, job_type=""), "empty"),
        (lambda: jobnb.submit(add, 1, job_type="x" * 51), "51 characters, the limit is 50"),
        (lambda: jobnb.submit(add, 1, job_type="a\0b"), "NUL"),
        (lambda: jobnb.submit(add, 1, job_type=b"x"), "give a text"),
        (lambda: jobnb.submit(add, 1, document_id="5"), "document_id is '5': give a UUID"),
        (lambda: jobnb.submit("add"), "can't be called"),
        (lambda: jobnb.submit(None), "can't be called"),
        (lambda: jobnb.submit(add), "missing a required argument: 'first'"),
        (lambda: jobnb.submit(add, 1, 2, 3), "too many positional arguments"),
        (lambda: jobnb.submit(add, 1, third=3), "unexpected keyword argument 'third'"),
        (lambda: jobnb.submit(generate), "list"),
        (lambda: jobnb.submit(lambda timeout: timeout, timeout=5), "functools.partial"),
        (lambda: jobnb.submit(add, 1, timeout=0), "timeout is 0"),
        (lambda: jobnb.submit(add, 1, timeout=-1), "timeout is -1"),
        (lambda: jobnb.submit(add, 1, timeout=float("nan")), "timeout is nan"),
        (lambda: jobnb.submit(add, 1, timeout="5s"), "timeout is '5s'"),
        (lambda: jobnb.submit(add, 1, retries=-1), "retries is -1"),
        (lambda: jobnb.map(add), "at least one iterable"),
        (lambda: jobnb.jobs(status="cancelledd"), "scheduled, in_progress, done, failed"),
        (lambda: jobnb.jobs(limit=-1), "limit is -1"),
        (lambda: jobnb.jobs(since="yesterday"), "give a datetime"),
        (lambda: jobnb.get("nope"), "give a UUID"),
        (lambda: JobCreate(job_type="x", document_id=5), "document_id is 5"),
        (lambda: JobCreate(), "job_type"),
    ],
)
def test_bad_input_is_refused_and_nothing_is_stored(call: Any, words: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        call()
    assert words in str(refused.value)
    assert jobnb.jobs() == []


def test_a_limit_is_a_number_and_no_truth_value() -> None:
    with pytest.raises(InvalidInput, match="limit is True"):
        check_limit(True)


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ada:s3cret@x@localhost/db",
        "mysql://ada:s3cret@localhost/db",
        "postgresql://ada:s3cret@localhost",
        "postgresql://ada:s3cret@localhost/db?sslmode=REQUIRE",
    ],
)
def test_a_url_that_cannot_work_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        _ = SyncJobService(url).runtime
    assert "s3cret" not in str(refused.value)


@pytest.mark.usefixtures("home")
def test_a_server_that_never_answers_is_told_within_seconds() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        with pytest.raises(DatabaseUnavailable):
            SyncJobService(f"postgresql://ada:s3cret@127.0.0.1:{silent.getsockname()[1]}/db").submit(add, 1)
        assert time.monotonic() - began < 6


@pytest.mark.usefixtures("home")
def test_max_workers_is_at_least_one() -> None:
    with pytest.raises(ConfigurationError, match="max_workers is 0"):
        jobnb.configure(max_workers=0)


def test_importing_jobnb_loads_nothing_heavy() -> None:
    code = (
        "import sys, jobnb\n"
        "heavy = {'sqlalchemy', 'psycopg', 'pydantic', 'IPython', 'ipywidgets', 'textual', 'numpy', 'pandas'}\n"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_another_process_reads_the_value_and_the_remote_traceback(client: str) -> None:
    done, failed = jobnb.submit(add, 1, 2), jobnb.submit(add, 1, "x")
    done.result()
    failed.exception()
    done.refresh()
    code = (
        "import jobnb\n"
        f"print(jobnb.get('{done.job_id}').result())\n"
        f"try: jobnb.get('{failed.job_id}').result()\n"
        "except jobnb.JobFailed as error: print(error)"
    )
    read = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert read.stdout.startswith("3\n")
    assert "return first + second" in read.stdout


def test_a_password_is_kept_out_of_the_row(client: str) -> None:
    url = client.replace("jobnb@", "jobnb:s3cretword@")
    jobnb.configure(database_url=url)

    def leak() -> None:
        raise ValueError(f"can't reach {url}")

    job = jobnb.submit(leak)
    job.exception()
    row = job.refresh()
    assert "s3cretword" not in (row.error_message or "") + (row.traceback or "")
    assert "s3cretword" not in repr(jobnb.api.default_service())  # type: ignore[attr-defined]
