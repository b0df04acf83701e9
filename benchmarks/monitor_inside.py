"""The programs that monitor_screen.py measures, each run in a terminal of its own; not for use by hand."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from textual.app import App, ComposeResult
from textual.widgets import DataTable, Static

SCROLLING, RESTING = 3.0, 10.0
TABLE_ROWS = 10_000


class Measured:
    """What every measured program counts: frames, their times, its processor time."""

    frames: list[float]
    report: dict[str, Any]

    def begin(self) -> None:
        self.frames = []
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def end(self, name: str) -> None:
        wall, cpu = time.perf_counter() - self._wall, time.process_time() - self._cpu
        self.report[name] = {"frames": len(self.frames) / wall, "cpu": cpu / wall, "memory": memory_of(os.getpid())}

    async def scroll(self, name: str, step: Any) -> None:
        self.begin()
        end = time.perf_counter() + SCROLLING
        due = time.perf_counter()
        while time.perf_counter() < end:
            step()
            due = max(due + 1 / 60, time.perf_counter())
            await asyncio.sleep(max(0.001, due - time.perf_counter()))
        self.end(name)


class MeasuredTable(Measured, App[None]):
    """Textual's DataTable with rows like the monitor's."""

    def __init__(self) -> None:
        super().__init__()
        self.report, self.frames = {}, []

    def compose(self) -> ComposeResult:
        yield DataTable(cursor_type="row")

    def _display(self, screen: Any, renderable: Any) -> None:
        super()._display(screen, renderable)
        if renderable is not None:
            self.frames.append(time.perf_counter())

    def on_mount(self) -> None:
        table = self.query_one(DataTable)
        table.add_columns("state", "id", "name", "type", "progress", "took", "age", "try", "kernel", "message")
        for number in range(TABLE_ROWS):
            table.add_row(
                "✓ done", f"{number:08x}", f"part {number}", "train.resnet", "", "12:31", "4m", "", "study-1.ipynb",
                "ValueError: bad shape (870, 128)",
            )  # fmt: skip
        table.focus()
        self.run_worker(self._measure())

    async def _measure(self) -> None:
        table = self.query_one(DataTable)
        await asyncio.sleep(2)
        await self.scroll("page", lambda: table.scroll_to(y=(table.scroll_y + 46) % 9000, animate=False, force=True))
        table.scroll_to(y=0, animate=False, force=True)
        await asyncio.sleep(1)
        await self.scroll("line", lambda: table.scroll_to(y=table.scroll_y + 1, animate=False, force=True))
        self.exit()


class Empty(Measured, App[None]):
    """A Textual program that shows one word."""

    def __init__(self) -> None:
        super().__init__()
        self.report, self.frames = {}, []

    def compose(self) -> ComposeResult:
        yield Static("empty")

    def _display(self, screen: Any, renderable: Any) -> None:
        super()._display(screen, renderable)
        if renderable is not None:
            self.report.setdefault("first_paint", time.time() - float(os.environ["BENCHMARK_STARTED"]))

    def on_mount(self) -> None:
        self.run_worker(self._measure())

    async def _measure(self) -> None:
        await asyncio.sleep(2)
        self.begin()
        await asyncio.sleep(RESTING)
        self.end("rest")
        self.exit()


def measured_monitor(url: str, what: str) -> Any:
    """The monitor; imported only for itself, so that the others stay as small as they are."""
    from jobnb.settings import Settings
    from monitor.postgres import PostgresSource
    from monitor.tui.app import MonitorApp, Options

    class MeasuredMonitor(Measured, MonitorApp):
        """The monitor, driven by what is measured instead of by keys."""

        def __init__(self) -> None:
            source = PostgresSource(Settings.load(database_url=url))
            super().__init__(source, Options(Path(tempfile.mkdtemp(prefix="jobnb-monitor-"))))
            self.report, self.frames = {}, []
            self.latencies: dict[str, float] = {}

        def _display(self, screen: Any, renderable: Any) -> None:
            super()._display(screen, renderable)
            if renderable is not None:
                self.frames.append(time.perf_counter())
                if is_filled(self):
                    self.report.setdefault("first_paint", time.time() - float(os.environ["BENCHMARK_STARTED"]))
                    notice_marks(self.page.table, self.latencies)

        def on_mount(self) -> None:
            self.run_worker(self._measure())

        async def _measure(self) -> None:
            await drive(self, what)
            self.report["latencies"] = sorted(self.latencies.values())
            self.exit()

    return MeasuredMonitor()


def is_filled(app: Any) -> bool:
    """True once jobs are on the screen."""
    listing = getattr(app.page, "listing", None)
    return listing is not None and listing.read_once


def notice_marks(table: Any, latencies: dict[str, float]) -> None:
    """Note how old the marked jobs were when they came on the screen."""
    for line in range(table.first, table.first + table.height):
        row = table.rows[line]
        if row is not None and (row.name or "").startswith("T") and row.name[1:].isdigit():
            latencies.setdefault(row.name, time.time() - int(row.name[1:]) / 1e9)


async def drive(app: Any, what: str) -> None:
    """Scroll the monitor, or leave it alone, and measure."""
    while not is_filled(app):  # noqa: ASYNC110 # nothing tells
        await asyncio.sleep(0.02)
    await asyncio.sleep(2)
    table = app.page.table
    if what == "scroll":
        await app.scroll("page", lambda: table.action_move_page(1))
        table.action_top()
        await asyncio.sleep(1)
        await app.scroll("line", lambda: table.scroll_to(y=table.first + 1, animate=False, force=True))
        return
    app.latencies.clear()
    app.begin()
    await asyncio.sleep(RESTING)
    app.end("rest")


def memory_of(pid: int) -> float:
    """Megabytes in memory."""
    return int(subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, check=True).stdout) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["scroll", "idle", "busy", "table", "empty"])
    parser.add_argument("url")
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    others = {"empty": Empty, "table": MeasuredTable}
    app = others[given.what]() if given.what in others else measured_monitor(given.url, given.what)
    app.run()
    if given.what not in others:
        app.source.close()
    given.out.write_text(json.dumps(app.report))


if __name__ == "__main__":
    main()
