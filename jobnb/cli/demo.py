"""`jobnb demo`: several real jobs on a real data set, watched live in the terminal."""

from __future__ import annotations

import sys
import time
from contextlib import redirect_stdout
from io import StringIO
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

import jobnb
from jobnb import demo_jobs
from jobnb.api import default_service
from jobnb.cli.printing import console, state
from jobnb.display.words import duration, message, title

if TYPE_CHECKING:
    from jobnb.handle import JobHandle


def run_demo() -> None:
    """Submit the jobs, watch them to their end, and say what to do next."""
    out = console()
    began = time.monotonic()
    where = default_service().runtime
    where.open()
    out.print(f"Jobs are kept in {where.database.where} (ready after {time.monotonic() - began:.1f} s)\n")
    handles: list[JobHandle[Any]] = []
    # what the jobs print goes into their logs; here it would tear the table apart
    out.file = sys.stdout
    with (
        redirect_stdout(StringIO()),
        Live(_picture(handles), console=out, refresh_per_second=10, redirect_stdout=False) as live,
    ):
        handles += submit_jobs()
        while not all(handle.done() for handle in handles):
            time.sleep(0.1)
            live.update(_picture(handles))
        live.update(_picture(handles))
    _explain(out, handles)


def submit_jobs() -> list[JobHandle[Any]]:
    """Five jobs; the last one fails on purpose."""
    wines = demo_jobs.load_wine()
    comparable = demo_jobs.standardized(wines)
    jobs: list[JobHandle[Any]] = [
        jobnb.submit(
            demo_jobs.cross_validate_neighbours,
            comparable,
            k,
            job_type="cross_validation",
            name=f"wine, {k} neighbours",
        )
        for k in (1, 5, 15)
    ]
    jobs.append(jobnb.submit(demo_jobs.bootstrap_mean, wines, 0, job_type="bootstrap", name="wine, mean alcohol"))
    jobs.append(
        jobnb.submit(demo_jobs.fit_naive_bayes, comparable, 0.0, job_type="naive_bayes", name="wine, fails on purpose")
    )
    return jobs


def _picture(handles: list[JobHandle[Any]]) -> Group:
    table = Table(box=None, header_style="dim", pad_edge=False)
    widths = {"state": 9, "id": 8, "name": 20, "progress": 16, "time": 5, "": 10}
    for name, width in widths.items():
        table.add_column(name, no_wrap=True, overflow="ellipsis", min_width=width)
    for handle in handles:
        job = handle.job
        bar = ProgressBar(total=1.0, completed=1.0 if job.state == "done" else job.progress or 0.0, width=24)
        words = str(handle.result()) if job.state == "done" else message(job)
        table.add_row(state(job), job.short_id, title(job), bar, duration(job.elapsed), Text(words, style="dim"))
    return Group(table)


def _explain(out: Console, handles: list[JobHandle[Any]]) -> None:
    failed = handles[-1]
    out.print(Text(f"\nThe failed one kept its traceback (jobnb show {failed.job.short_id}):\n", style="bold"))
    out.print(Text((failed.refresh().traceback or "").rstrip(), style="red"), soft_wrap=True)
    out.print(Text("\nWhat next", style="bold"))
    short = handles[0].job.short_id
    for command, effect in (
        ("python -m monitor", "all jobs of this and every other process, live"),
        ("jobnb list", "the same, once"),
        (f"jobnb logs {short}", "what a job printed"),
        (
            f"python -c 'import jobnb; print(jobnb.get(\"{short}\").result())'",
            "its value, in another process",
        ),
        ("psql $(jobnb url)", "the rows themselves, with a psql of your own"),
    ):
        out.print(Text(f"  {command:<72} ") + Text(effect, style="dim"), soft_wrap=True)
