"""Command line programs whose output can't be written: one sentence on a full disk, nothing when the reader has gone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import jobnb

CHECKOUT = Path(jobnb.__file__).parents[1]
# each way of writing: rich, click, print
PROGRAMS = ["jobnb list", "jobnb show --json", "monitor --csv"]


def run(program: str, stdout: int, **variables: str) -> tuple[int, str]:
    """Run a program with this standard output, buffered as in a pipe; gives its exit code and what it says."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        [sys.executable, "-m", *program.split()], stdout=stdout, stderr=subprocess.PIPE, text=True, cwd=CHECKOUT,
        check=False, env={**inherited, **variables},
    )  # fmt: skip
    return done.returncode, done.stderr


@pytest.fixture
def about(client: str) -> str:
    job = jobnb.submit(print, "hello")
    job.result()
    job.refresh()
    return str(job.job_id)


def completed(program: str, job_id: str) -> str:
    return f"{program} {job_id}" if "show" in program else program


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no disk that is always full")
@pytest.mark.parametrize("program", [*PROGRAMS, "monitor --help"])
def test_full_disk_is_told_in_one_sentence(program: str, about: str) -> None:
    variables = {"PYTHONUNBUFFERED": "1"} if program == "monitor --csv" else {}
    with Path("/dev/full").open("wb") as full:
        code, said = run(completed(program, about), full.fileno(), **variables)

    name = program.split()[0]
    assert said == f"{name}: standard output can't be written: No space left on device\n"
    assert code == 5


@pytest.mark.parametrize("program", PROGRAMS)
def test_reader_that_has_gone_is_no_error(program: str, about: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        outcome = run(completed(program, about), writer)
    finally:
        os.close(writer)

    assert outcome == (0, "")


def test_program_without_streams_does_its_work(about: str) -> None:
    closed = 'exec "$0" -m monitor --once >&- 2>&-'

    assert subprocess.run(["sh", "-c", closed, sys.executable], cwd=CHECKOUT, check=False).returncode == 0
