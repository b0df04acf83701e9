"""What can't be right is refused at the call, with words, before anything is stored."""

from __future__ import annotations

import functools
import re
import socket
import subprocess
import sys
import threading
import time
from typing import Any

import psycopg
import pytest
from waiting import in_time

import jobnb
from jobnb import ConfigurationError, DatabaseUnavailable, InvalidInput, JobCreate, SyncJobService
from jobnb.checks import check_limit
from jobnb.db import connecting


def add(first: int, second: int = 0) -> int:
    return first + second


def generate() -> Any:
    yield 1


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("timeout", ["5s", -1, float("nan"), float("inf"), True, 10**400])
def test_a_waiting_is_given_a_number_of_seconds(timeout: Any) -> None:
    group = jobnb.map(add, [1])
    assert group.results() == [1]
    for wait in (
        lambda: group[0].result(timeout),
        lambda: group[0].exception(timeout),
        lambda: group[0].wait(timeout),
        lambda: group.results(timeout),
        lambda: jobnb.wait(group, timeout),
        lambda: list(jobnb.as_completed(group, timeout)),
    ):
        with pytest.raises(InvalidInput, match=r"^timeout is"):
            wait()


@pytest.mark.usefixtures("client")
def test_waiting_for_0_seconds_only_looks() -> None:
    go_on = threading.Event()
    group = jobnb.map(lambda number: go_on.wait(10) and number, [1])
    assert not group[0].wait(0)
    assert jobnb.wait(group, 0).not_done == {group[0]}
    with pytest.raises(jobnb.WaitTimeout, match="0 s"):
        group.results(0)
    with pytest.raises(jobnb.WaitTimeout, match="0 s"):
        next(jobnb.as_completed(group, 0))
    go_on.set()
    assert group.results(10) == [1]


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
        (lambda: jobnb.submit(add, 1, timeout=10**400), "timeout is 1000"),
        (lambda: jobnb.submit(add, 1, timeout=1e300), "timeout is 1e+300"),
        (lambda: jobnb.submit(add, 1, initial_data=5), "initial_data is 5 (int): give a dict"),
        (lambda: jobnb.submit(add, 1, initial_data={5: 6}), "initial_data has the key 5 (int): make every key a str"),
        (lambda: SyncJobService().delete_jobs(5), "job_ids is 5: give a UUID"),
        (lambda: jobnb.submit(add, 1, retries=-1), "retries is -1"),
        (lambda: jobnb.map(add), "at least one iterable"),
        (lambda: jobnb.map(add, 5), "5 to run the function on, which can't be iterated"),
        (lambda: jobnb.jobs(status="cancelledd"), "scheduled, in_progress, done, failed"),
        (lambda: jobnb.jobs(limit=-1), "limit is -1"),
        (lambda: jobnb.jobs(since="yesterday"), "give a datetime"),
        (lambda: jobnb.get("nope"), "give a UUID"),
        (lambda: SyncJobService().create_job(5), "job_data has the type int: give a JobCreate"),
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
        in_time(began, 6)


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


class Unsubmittable:
    """Callable by its class only."""


async def generate_later() -> Any:
    yield 1


def scale(timeout: float, name: str = "") -> str:
    return f"{timeout}{name}"


REFUSED_SUBMITS: dict[str, tuple[Any, str]] = {
    "job_type None": (lambda s: s.submit(add, 1, job_type=None), "job_type is None"),
    "job_type empty": (lambda s: s.submit(add, 1, job_type=""), "job_type"),
    "job_type 51": (lambda s: s.submit(add, 1, job_type="é" * 51), "51 characters, the limit is 50"),
    "job_type NUL": (lambda s: s.submit(add, 1, job_type="a\0"), "NUL"),
    "job_type bytes": (lambda s: s.submit(add, 1, job_type=b"etl"), "job_type is b'etl'"),
    "document_id text": (lambda s: s.submit(add, 1, document_id="contract"), "document_id is 'contract'"),
    "document_id number": (lambda s: s.submit(add, 1, document_id=0), "document_id is 0"),
    "property_id text": (lambda s: s.submit(add, 1, property_id=""), "property_id is ''"),
    "fn called": (lambda s: s.submit(add(1)), "fn is 1, which can't be called"),
    "fn object": (lambda s: s.submit(Unsubmittable()), "can't be called"),
    "too few": (lambda s: s.submit(add), "missing a required argument: 'first'"),
    "too many": (lambda s: s.submit(add, 1, 2, 3), "too many positional arguments"),
    "unknown keyword": (lambda s: s.submit(add, 1, thrid=3), "unexpected keyword argument 'thrid'"),
    "generator": (lambda s: s.submit(generate), "list(generate(...))"),
    "async generator": (lambda s: s.submit(generate_later), "[item async for item in ...]"),
    "partial generator": (lambda s: s.submit(functools.partial(generate)), "list(generate(...))"),
    "colliding timeout": (lambda s: s.submit(scale, timeout=5), "functools.partial(scale, timeout=...)"),
    "colliding name": (lambda s: s.submit(scale, 1, name="x"), "functools.partial(scale, name=...)"),
    "timeout 0": (lambda s: s.submit(add, 1, timeout=0), "timeout is 0"),
    "timeout -1": (lambda s: s.submit(add, 1, timeout=-1), "timeout is -1"),
    "timeout nan": (lambda s: s.submit(add, 1, timeout=float("nan")), "timeout is nan"),
    "timeout inf": (lambda s: s.submit(add, 1, timeout=float("inf")), "timeout is inf"),
    "timeout text": (lambda s: s.submit(add, 1, timeout="5s"), "timeout is '5s'"),
    "timeout True": (lambda s: s.submit(add, 1, timeout=True), "timeout is True"),
    "create job_type": (lambda s: s.create_job(JobCreate(job_type="x" * 51)), "limit is 50"),
    "create a dict": (lambda s: s.create_job({"job_type": "x"}), "give a JobCreate"),
    "map job_type": (lambda s: jobnb.map(add, [1], job_type=""), "job_type"),
    "map arguments": (lambda s: jobnb.map(add, [1], [2], [3]), "too many positional arguments"),
}


def test_no_refused_submit_leaves_a_row(client: str) -> None:
    wrong = {}
    with SyncJobService() as service:
        for case, (attempt, words) in REFUSED_SUBMITS.items():
            try:
                wrong[case] = f"accepted: {attempt(service)!r}"
            except InvalidInput as error:
                if words not in str(error):
                    wrong[case] = str(error)
            except Exception as error:
                wrong[case] = repr(error)
        # jobs are written in order: once this one is there, any earlier one is too
        last = service.submit(add, 1)
        last.result()
        last.refresh()
    with psycopg.connect(client) as connection:
        found = connection.execute("SELECT job_id FROM jobs").fetchall()
    assert wrong == {}
    assert found == [(last.job_id,)]


@pytest.mark.parametrize("status", ["finished", "", None, 3, b"done"])
def test_an_unknown_status_is_answered_with_the_known_ones(client: str, status: Any) -> None:
    with SyncJobService() as service, pytest.raises(InvalidInput) as refused:
        service.get_jobs_by_status(status)
    assert all(known in str(refused.value) for known in ("scheduled", "in_progress", "done", "failed"))


@pytest.mark.parametrize("limit", [-1, True, 1.5, "5", None])
def test_a_limit_that_is_no_number_of_rows_is_refused(client: str, limit: Any) -> None:
    with pytest.raises(InvalidInput, match=f"limit is {limit!r}"):
        jobnb.jobs(limit=limit)


@pytest.mark.usefixtures("home")
def test_a_setting_of_the_wrong_type_is_refused_without_showing_it() -> None:
    with pytest.raises(ConfigurationError, match=r"^home has the type int: give a path$"):
        jobnb.configure(home=5)
    with pytest.raises(ConfigurationError, match=r"^database_url has the type bytes: give a text$"):
        jobnb.configure(database_url=b"postgresql://ada:s3cret@host/db")


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("workers", [0, -1, True, 1.5, "many"])
def test_a_number_of_workers_that_cannot_work_is_refused(workers: Any) -> None:
    with pytest.raises(ConfigurationError, match="max_workers is"):
        SyncJobService(max_workers=workers)


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://ada:s3cret@x@localhost/db", "%40"),
        ("mysql://ada:s3cret@localhost/db", "PostgreSQL"),
        ("postgresql://ada:s3cret@localhost", "names no database"),
        ("postgresql://ada:s3cret@localhost/", "names no database"),
        ("postgresql://ada:s3cret@localhost/db?sslmode=REQUIRE", "require"),
    ],
)
def test_a_url_says_what_to_write_instead_and_nowhere_its_password(url: str, words: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        SyncJobService(database_url=url).submit(add, 1)
    assert words in str(refused.value)
    assert "DATABASE_URL" in str(refused.value) or "database_url" in str(refused.value)
    chain: BaseException | None = refused.value
    while chain is not None:  # the frames of a traceback quote this test's own lines, the messages must not
        assert "s3cret" not in str(chain)
        chain = chain.__cause__ or chain.__context__


@pytest.mark.usefixtures("home")
def test_a_database_that_is_not_there_is_named(empty_url: str) -> None:
    url = re.sub(r"jobnb@/\w+", "jobnb:s3cret@/never_made", empty_url)
    assert "s3cret@/never_made" in url
    began = time.monotonic()
    with pytest.raises(jobnb.DatabaseError) as refused:
        SyncJobService(database_url=url).submit(add, 1)
    in_time(began, 6)
    assert "never_made" in str(refused.value)
    assert "s3cret" not in str(refused.value)


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("use", [lambda s: s.init_database(), lambda s: s.get_all_jobs()])
def test_a_silent_server_is_told_within_seconds_by_queries_too(use: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        began = time.monotonic()
        with pytest.raises(DatabaseUnavailable, match=f"127.0.0.1:{port}") as refused:
            use(SyncJobService(database_url=f"postgresql://ada:s3cret@127.0.0.1:{port}/db"))
        in_time(began, 6)
    assert "s3cret" not in str(refused.value)


@pytest.mark.usefixtures("home")
def test_a_connection_that_takes_too_long_is_told_with_where_it_should_have_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connecting, "CONNECT_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(DatabaseUnavailable, match=rf"no answer from 127.0.0.1:{port}/db .*no connection within"):
            SyncJobService(f"postgresql://ada:s3cret@127.0.0.1:{port}/db").get_all_jobs()


def test_a_setting_that_does_not_exist_is_answered_with_those_that_do() -> None:
    with pytest.raises(ConfigurationError, match="no setting 'max_worker': they are database_url, home, max_workers"):
        jobnb.configure(max_worker=5)
