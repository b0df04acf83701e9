"""What is seen from outside: a light import, jobs of another process, and no password anywhere."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from pathlib import Path

import psycopg
import pytest

import jobnb
from jobnb.db.urls import normalize
from jobnb.executors.failure import MESSAGE_LIMIT

CHECKOUT = Path(jobnb.__file__).parents[1]
PASSWORD = "s3cretpw"


def run_elsewhere(code: str) -> str:
    """What `code` prints in a process of its own, which has this one's environment."""
    path = os.pathsep.join(filter(None, (str(CHECKOUT), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, timeout=50, env={**os.environ, "PYTHONPATH": path}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "heavy", ["sqlalchemy", "psycopg", "pydantic", "IPython", "ipywidgets", "textual", "numpy", "pandas"]
)
def test_importing_jobnb_does_not_load(heavy: str) -> None:
    assert run_elsewhere(f"import sys, jobnb; print({heavy!r} in sys.modules)") == "False\n"


def price(number: int) -> dict[str, object]:
    return {"z": number, "a": [1.5, None, "é"]}


def broken(number: int) -> None:
    raise LookupError(f"no price for {number}")


def test_another_process_reads_the_value(client: str) -> None:
    job = jobnb.submit(price, 7)
    job.result()
    job.refresh()
    assert run_elsewhere(f"import jobnb; print(jobnb.get('{job.job_id}').result())") == f"{price(7)}\n"


def test_another_process_waits_for_a_job_that_still_runs(client: str) -> None:
    def until_told() -> str:
        with psycopg.connect(client) as connection:
            connection.execute("SELECT pg_advisory_lock(77)")
        return "told"

    with psycopg.connect(client, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(77)")
        job = jobnb.submit(until_told)
        code = (
            "import jobnb\n"
            f"job = jobnb.get('{job.job_id}')\n"
            "print(job.done(), flush=True)\n"
            "print(job.wait(0.01), flush=True)\n"
        )
        assert run_elsewhere(code) == "False\nFalse\n"
    assert job.result(10) == "told"
    assert run_elsewhere(f"import jobnb; print(jobnb.get('{job.job_id}').result(10))") == "told\n"


def test_a_failure_elsewhere_comes_with_the_remote_traceback(client: str) -> None:
    job = jobnb.submit(broken, 7)
    job.exception()
    job.refresh()
    said = run_elsewhere(
        "import jobnb\n"
        f"try: jobnb.get('{job.job_id}').result()\n"
        "except jobnb.JobFailed as error:\n"
        "    print(error.job_id, error.error_message, error.remote_traceback, str(error), sep='\\n@@\\n')"
    )
    job_id, message, remote, text = said.split("\n@@\n")
    assert (job_id, message) == (str(job.job_id), "LookupError: no price for 7")
    assert remote.startswith("Traceback (most recent call last):")
    assert 'raise LookupError(f"no price for {number}")' in remote
    assert f'"{__file__}", line {broken.__code__.co_firstlineno + 1}, in broken' in remote
    assert remote.strip() in text


@pytest.fixture
def url_with_password(client: str) -> str:
    """jobnb pointed at the same database by a URL with a password, which the server does not ask for."""
    url = client.replace("@/", f":{PASSWORD}@/", 1)
    assert normalize(url).password == PASSWORD
    jobnb.configure(database_url=url)
    return url


def stored_text(url: str) -> str:
    """All that the tables have, as text, but the source of functions."""
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT to_jsonb(jobs) - 'source', (SELECT jsonb_agg(to_jsonb(job_logs)) FROM job_logs) FROM jobs"
        ).fetchall()
    assert found
    return str(found)


def test_a_password_in_an_exception_does_not_reach_the_row(url_with_password: str, client: str) -> None:
    def leak() -> None:
        raise ConnectionError(f"can't reach {url_with_password}")

    job = jobnb.submit(leak)
    job.exception()
    row = job.refresh()
    assert row.error_message is not None
    assert row.traceback is not None
    assert "can't reach postgresql://" in row.error_message
    assert "***" in row.error_message
    assert "***" in row.traceback
    assert PASSWORD not in stored_text(client)
    assert PASSWORD not in repr(job)
    assert PASSWORD not in job._repr_html_()


def test_a_password_in_a_chained_exception_does_not_reach_the_row(url_with_password: str, client: str) -> None:
    def leak() -> None:
        try:
            raise ConnectionError(url_with_password)
        except ConnectionError as error:
            raise RuntimeError("no data") from error

    job = jobnb.submit(leak)
    job.exception()
    assert "***" in (job.refresh().traceback or "")
    assert PASSWORD not in stored_text(client)


def test_a_password_does_not_reach_the_row_between_two_attempts(url_with_password: str, client: str) -> None:
    calls: list[int] = []

    def leak_once() -> None:
        calls.append(1)
        if len(calls) == 1:
            raise ConnectionError(f"can't reach {url_with_password}")

    job = jobnb.submit(leak_once, retries=1)
    job.result(20)
    assert len(calls) == 2
    job.refresh()
    assert PASSWORD not in stored_text(client)


def test_a_password_is_not_cut_in_two_by_the_limit_of_a_message(url_with_password: str) -> None:
    def leak(words: str) -> None:
        raise ValueError(words)

    for kept in range(4, len(PASSWORD)):
        filler = "x" * (MESSAGE_LIMIT - len("ValueError: ") - kept)
        job = jobnb.submit(leak, filler + PASSWORD + "y" * 50)
        job.exception()
        assert PASSWORD[:4] not in (job.refresh().error_message or "")


def test_nothing_that_is_shown_of_the_settings_has_the_password(url_with_password: str) -> None:
    service = jobnb.SyncJobService(url_with_password)
    shown = [repr(service), repr(service.settings), repr(normalize(url_with_password)), str(service.runtime)]
    service.close()
    assert PASSWORD not in " ".join(shown)


def test_an_error_of_the_database_does_not_tell_the_password(url_with_password: str) -> None:
    missing = url_with_password.replace("/test_", "/no_such_", 1)
    with pytest.raises(jobnb.JobnbError) as refused, jobnb.SyncJobService(missing) as service:
        service.count_jobs()
    assert "no_such_" in str(refused.value)
    assert PASSWORD not in "".join(traceback.format_exception(refused.value))
