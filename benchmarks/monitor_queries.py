"""What the monitor asks of a database with many rows, beside the plain statements that would answer the same.

    python benchmarks/monitor_rows.py --rows 1000000        # prints the address of a server with rows
    python benchmarks/monitor_queries.py --database-url URL

Times are medians of the milliseconds spent in the driver (SQL and its round trip). The last lines tell which share
of a core the server spends on a monitor that shows the newest jobs, by the processor time of its own sessions.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import event

from jobnb.settings import Settings
from monitor.filters import parse
from monitor.model import View
from monitor.postgres import PostgresSource

LINES = 60
SECONDS = 10.0


class Clock:
    """Adds up what a source spends in the driver, and knows its sessions."""

    def __init__(self, source: PostgresSource) -> None:
        self.spent = 0.0
        self.sessions: set[int] = set()
        engine = source._link.database._readers
        event.listen(engine, "before_cursor_execute", self._begin)
        event.listen(engine, "after_cursor_execute", self._end)
        event.listen(engine, "connect", lambda driver, record: self.sessions.add(driver.info.backend_pid))

    def _begin(self, conn: Any, *rest: Any) -> None:
        conn.info["began"] = time.perf_counter()

    def _end(self, conn: Any, *rest: Any) -> None:
        self.spent += time.perf_counter() - conn.info["began"]

    def median(self, call: Callable[[], object], times: int = 15) -> float:
        """Milliseconds that a call spends in the driver."""
        found = []
        for _ in range(times):
            before = self.spent
            call()
            found.append(self.spent - before)
        return statistics.median(found) * 1000

    def processor_seconds(self) -> float:
        """What its sessions have cost the server so far."""
        fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in self.sessions]
        return sum(int(one[11]) + int(one[12]) for one in fields) / 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database-url", required=True)
    url: str = parser.parse_args().database_url
    source = PostgresSource(Settings.load(database_url=url), read_only=True)
    clock = Clock(source)
    view = View()
    began = time.perf_counter()
    head = source.window(view, 0, LINES).head
    print(f"first page of {LINES}, connection and all: {1000 * (time.perf_counter() - began):.0f} ms")
    began, steps = time.perf_counter(), 1
    while not (survey := source.survey(view)).complete:
        steps += 1
    total = survey.total.value
    print(f"survey of {total:,} rows: {1000 * (time.perf_counter() - began):.0f} ms in {steps} steps")
    parked = view.parked(head)
    with psycopg.connect(url, autocommit=True) as beside:
        compare(source, clock, parked, total, beside)
    load(source, clock, view)
    source.close()


def compare(source: PostgresSource, clock: Clock, view: View, total: int, beside: psycopg.Connection[Any]) -> None:
    """Print what the monitor takes, and what the plain statement does."""
    chance = random.Random(1)

    def plain(statement: str) -> float:
        found = []
        for _ in range(3):
            began = time.perf_counter()
            beside.execute(statement).fetchall()  # type: ignore[arg-type]
            found.append(time.perf_counter() - began)
        return statistics.median(found) * 1000

    page = f"SELECT * FROM jobs {{}} ORDER BY created_at DESC NULLS LAST, job_id DESC LIMIT {LINES}"
    failed = View(parse("state:failed"))
    while not source.survey(failed).complete:
        pass
    some = source.window(failed, 1_000, LINES).rows[0].mark
    rows = (
        ("newest page, as each look reads it", lambda: source.window(view, 0, LINES), page.format("")),
        ("jump to any line", lambda: source.window(view, chance.randrange(total), LINES),
         page.format("") + f" OFFSET {total // 2}"),
        ("newest failed jobs", lambda: source.window(failed, 0, LINES), page.format("WHERE status = 'failed'")),
        ("next failure", lambda: source.next_failure(failed, some, older=True),
         "SELECT * FROM jobs WHERE status = 'failed' ORDER BY created_at OFFSET 1000 LIMIT 1"),
        ("numbers of the header", lambda: (source._board._changing.now(), source.overview()),
         "SELECT status, error_kind, count(*) FROM jobs GROUP BY 1, 2"),
        ("errors in groups", lambda: source._read_errors(parse("")),
         "SELECT error_message, count(*) FROM jobs WHERE status = 'failed' GROUP BY 1 ORDER BY 2 DESC LIMIT 20"),
        ("names of all types", lambda: source.complete("type:", 5), "SELECT DISTINCT job_type FROM jobs"),
    )  # fmt: skip
    print(f"\n{'':36}{'monitor':>10}{'plain SQL':>12}{'ratio':>9}")
    for name, call, statement in rows:
        ours, theirs = clock.median(call), plain(statement)
        print(f"{name:36}{ours:>8.1f} ms{theirs:>9.1f} ms{ours / theirs:>9.3f}")


def load(source: PostgresSource, clock: Clock, view: View) -> None:
    """Print which share of a core the server spends on a monitor that is looked at."""
    for name, pause in (("idle: a look each 0.5 s", 0.5), ("busy: a look each 0.1 s", 0.1)):
        before, until, looks = clock.processor_seconds(), time.monotonic() + SECONDS, 0
        while time.monotonic() < until:
            source.window(view, 0, LINES)
            if looks % max(1, round(1 / pause)) == 0:
                source.overview()
                source.survey(view)
            looks += 1
            time.sleep(pause)
        share = (clock.processor_seconds() - before) / SECONDS
        print(f"{name:36}{100 * share:>8.1f} % of a core")


if __name__ == "__main__":
    main()
