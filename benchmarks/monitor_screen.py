"""How the monitor's screen does in a real terminal, beside Textual's own DataTable and an empty Textual program.

    python benchmarks/monitor_rows.py --rows 1000000        # prints the address of a server with rows
    python benchmarks/monitor_screen.py --database-url URL

Everything runs in tmux, 180 columns by 50 lines. Frames are those that the program handed to the terminal while it
was scrolled 60 times a second. Rounds are interleaved, so that whatever else the machine does meets all alike.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path
from typing import Any

import psycopg

SIZE = (180, 50)
ROUNDS = 3
CHANGES_PER_SECOND = 2000
BATCH = 100
MARK = "monitor_benchmark"


def in_terminal(what: str, url: str) -> dict[str, Any]:
    """Run one program in a new terminal and read what it measured."""
    out = Path(tempfile.mkdtemp(prefix="jobnb-benchmark-")) / "report.json"
    arguments = [sys.executable, str(Path(__file__).with_name("monitor_inside.py")), what, url, str(out)]
    settings = f"TERM=xterm-256color COLORTERM=truecolor BENCHMARK_STARTED={time.time()}"
    socket = f"jobnb-benchmark-{os.getpid()}"
    line = f"env -u TMUX -u COLUMNS -u LINES {settings} {shlex.join(arguments)}"
    size = ["-x", str(SIZE[0]), "-y", str(SIZE[1])]
    subprocess.run(["tmux", "-L", socket, "-f", "/dev/null", "new-session", "-d", *size, line], check=True)
    deadline = time.monotonic() + 120
    while not out.exists():
        if time.monotonic() > deadline:
            command = ["tmux", "-L", socket, "capture-pane", "-p"]
            screen = subprocess.run(command, capture_output=True, text=True, check=True)
            subprocess.run(["tmux", "-L", socket, "kill-server"], check=False)
            raise TimeoutError(f"{what} did not end; its screen was:\n{screen.stdout}")
        time.sleep(0.1)
    return json.loads(out.read_text())


class Writer:
    """Jobs that others run: some new ones, and changes to running ones, and now and then one that carries the time."""

    def __init__(self, url: str) -> None:
        self.url, self.changes, self.seconds = url, 0, 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._write)

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("DELETE FROM jobs WHERE job_type = %s", (MARK,))

    def _write(self) -> None:
        with psycopg.connect(self.url, autocommit=True, prepare_threshold=1) as connection:
            began = due = time.perf_counter()
            running: list[uuid.UUID] = []
            while not self._over.is_set():
                new = [uuid.uuid4() for _ in range(2)]
                for number, job_id in enumerate(new):
                    name = f"T{time.time_ns()}" if not number and self.changes % 1000 < BATCH else "running"
                    connection.execute(
                        "INSERT INTO jobs (job_id, job_type, name, status, created_at, started_at, progress)"
                        " VALUES (%s, %s, %s, 'in_progress', timezone('utc', clock_timestamp()),"
                        " timezone('utc', now()), 0)",
                        (job_id, MARK, name),
                    )
                running = [*running, *new][-BATCH:]
                connection.execute(
                    "UPDATE jobs SET progress = random(), progress_message = 'batch ' || %s WHERE job_id = ANY(%s)",
                    (self.changes, running),
                )
                self.changes += len(running) + 2
                due += BATCH / CHANGES_PER_SECOND
                time.sleep(max(0.0, due - time.perf_counter()))
            self.seconds = time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--database-url", required=True)
    given = parser.parse_args()
    url = given.database_url
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT count(*) FROM jobs").fetchone()[0]
    print(f"monitor over {rows:,} jobs; DataTable with 10,000 rows; medians of {ROUNDS} rounds\n")
    scrolled = [(in_terminal("scroll", url), in_terminal("table", url)) for _ in range(ROUNDS)]
    for step in ("page", "line"):
        print_frames(step, [(ours[step], theirs[step]) for ours, theirs in scrolled])
    rested = [(in_terminal("idle", url), in_terminal("empty", url)) for _ in range(ROUNDS)]
    print_rest(rested)
    with Writer(url) as writer:
        busy = in_terminal("busy", url)
    print_busy(busy, writer)


def median(values: list[float]) -> float:
    return statistics.median(values)


def print_frames(step: str, found: list[tuple[dict[str, float], dict[str, float]]]) -> None:
    ours, theirs = (median([pair[side]["frames"] for pair in found]) for side in (0, 1))
    cpu = [median([pair[side]["cpu"] for pair in found]) for side in (0, 1)]
    ratios = sorted(pair[0]["frames"] / pair[1]["frames"] for pair in found)
    print(
        f"scrolling by a {step}: {ours:.0f} frames/s at {cpu[0]:.0%} of a core, DataTable {theirs:.0f} at {cpu[1]:.0%}:"
        f" {median(ratios):.1f} times as many ({ratios[0]:.1f} to {ratios[-1]:.1f});"
        f" {ours / cpu[0] / (theirs / cpu[1]):.1f} times as many for the same processor time"
    )


def print_rest(found: list[tuple[dict[str, Any], dict[str, Any]]]) -> None:
    memory = median([ours["rest"]["memory"] - empty["rest"]["memory"] for ours, empty in found])
    paint = [median([pair[side]["first_paint"] for pair in found]) for side in (0, 1)]
    cpu = [median([pair[side]["rest"]["cpu"] for pair in found]) for side in (0, 1)]
    print(f"memory: {memory:.0f} MB above an empty Textual program")
    print(
        f"first paint with rows: {paint[0]:.2f} s after its start, {paint[0] / paint[1]:.1f} times an empty program's"
    )
    print(f"idle: {cpu[0]:.1%} of a core, an empty program {cpu[1]:.1%}")


def print_busy(busy: dict[str, Any], writer: Writer) -> None:
    found = busy["latencies"]
    rate = writer.changes / writer.seconds
    print(
        f"with {rate:,.0f} changes/s: {busy['rest']['cpu']:.0%} of a core; {len(found)} marked jobs were on the screen"
        f" {median(found):.2f} s after their insert (median; {found[-1]:.2f} s at most)"
    )


if __name__ == "__main__":
    main()
