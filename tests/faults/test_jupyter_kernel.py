"""A real Jupyter kernel that is restarted, shut down, interrupted and killed while jobs run."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import audit
import psycopg
import pytest
from children import CHECKOUT
from kernel_driver import Kernel
from waiting import in_time, until

import jobnb

CELLS = """
import sys, threading, time, jobnb, jobnb.api
jobnb.configure(max_workers=2)
done = jobnb.map(str, range(5), name="done")
done.results(30)
running = [jobnb.submit(threading.Event().wait, name="running") for _ in range(2)]
queued = [jobnb.submit(int, name="queued") for _ in range(3)]
while not all(one.running() for one in running):
    pass
jobnb.api.default_service().runtime.recorder.settle(60)
"""


@pytest.fixture
def kernel(connected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kernel]:
    monkeypatch.setenv("PYTHONPATH", str(CHECKOUT))
    kernel = Kernel(tmp_path, {})
    assert kernel.run(CELLS, 60).reply["status"] == "ok"
    yield kernel
    kernel.stop()


def by_name(url: str) -> Counter[tuple[str, str, str | None]]:
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT name, status::text, error_kind FROM jobs").fetchall()
    return Counter((row[0], row[1], row[2]) for row in rows)


ENDED = {("done", "done", None): 5, ("running", "failed", "lost"): 2, ("queued", "failed", "cancelled"): 3}
DIED = {("done", "done", None): 5, ("running", "failed", "lost"): 2, ("queued", "failed", "lost"): 3}


@pytest.mark.parametrize("restart", [True, False], ids=["restart", "shutdown"])
def test_a_restarted_or_shut_down_kernel_closes_its_jobs_itself(restart: bool, kernel: Kernel, connected: str) -> None:
    began = time.monotonic()
    kernel.restart() if restart else kernel.shut_down()
    in_time(began, 10)
    assert by_name(connected) == ENDED  # by itself: no other jobnb process has looked yet
    assert audit.report(connected).is_clean


def test_a_killed_kernel_is_noticed_by_its_successor(kernel: Kernel, connected: str) -> None:
    kernel.restart(now=True)
    cell = kernel.run("import jobnb\njobs = jobnb.jobs()")
    kernel.wait_until(lambda: "5 unfinished jobs" in cell.text)
    assert by_name(connected) == DIED
    assert audit.report(connected).is_clean


def test_an_interrupt_stops_the_waiting_cell_and_no_job(kernel: Kernel, connected: str) -> None:
    waiting = kernel.start("print('waiting', flush=True); running[0].result()")
    kernel.wait_until(lambda: "waiting" in waiting.text)
    kernel.interrupt()
    assert waiting.wait()["ename"] == "KeyboardInterrupt"
    assert kernel.run("print(running[0].running(), running[1].running())").text.strip() == "True True"
    assert by_name(connected)["running", "in_progress", None] == 2


def test_a_kernel_that_crashes_is_noticed(kernel: Kernel, connected: str) -> None:
    jobnb.submit(int).result()  # another process of this host
    kernel.start("import os; os._exit(1)")
    until(lambda: by_name(connected) == DIED | {("int", "done", None): 1})
