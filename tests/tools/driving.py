"""How tests drive the terminal program: over a fake source, waiting for what they expect instead of sleeping."""

from __future__ import annotations

import asyncio
import difflib
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import textual.app
import textual.pilot
from fake_source import FakeSource
from textual.pilot import Pilot, WaitForScreenTimeout

from monitor.tui.app import MonitorApp, Options
from monitor.tui.keymap import Preferences
from monitor.tui.screens.jobs import JobsScreen

PATIENCE = 20.0
HOPS = 5
"""How often what a key sets off is handed on at most: to the app, the screen, the widget, its parent, and the screen."""


async def _at_once(*_: float) -> None:
    await asyncio.sleep(0)


# Textual's own waits until this process uses no CPU, which on a busy machine is a second for each key; instead
# `Driver.press` follows the messages
textual.app.wait_for_idle = textual.pilot.wait_for_idle = _at_once


class Driver:
    """A running monitor and its pilot."""

    def __init__(self, app: MonitorApp, pilot: Pilot[None]) -> None:
        self.app = app
        self.pilot = pilot

    @property
    def jobs(self) -> JobsScreen:
        assert isinstance(self.app.page, JobsScreen)
        return self.app.page

    @property
    def table(self) -> Any:
        return self.jobs.table

    async def press(self, *keys: str) -> None:
        """Press keys, one after the other; each has been dealt with when the next one comes."""
        for key in keys:
            await self.app._press_keys([key])
            await self.settle()
        self.app.screen._on_timer_update()  # paint what changed

    async def settle(self) -> None:
        """Wait until every message on its way has arrived, and those that it set off."""
        for _ in range(HOPS):
            # a widget that is taken away meanwhile answers no more
            with suppress(WaitForScreenTimeout):
                await self.pilot._wait_for_screen(0.5)

    async def until(self, condition: Callable[[], object], what: str = "") -> None:
        """Wait until it is so."""
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, f"{what or condition} never came true; the screen:\n{self.text()}"
            await self.pilot.pause(0.01)
        await self.pilot.pause()

    async def quiet(self) -> None:
        """Wait until the table is painted, and what is around the screen is read."""
        rows, height = self.table.rows, self.table.height
        await self.until(lambda: rows.missing(0, 2 * height) is None, "the rows around the screen")
        drawn = -1
        while drawn != self.table.lines_drawn:
            drawn = self.table.lines_drawn
            await self.pilot.pause(0.05)

    async def sees(self, text: str) -> None:
        """Wait until the screen shows a text."""
        await self.until(lambda: text in self.text(), f"{text!r} on the screen")

    async def sees_no(self, text: str) -> None:
        """Wait until the screen no longer shows a text."""
        await self.until(lambda: text not in self.text(), f"no {text!r} on the screen")

    async def type(self, text: str) -> None:
        """Type a text."""
        await self.press(*text)

    def strips(self) -> list[Any]:
        # what export_screenshot draws: with dialogs over their page, and filters applied
        screen = self.app.screen
        return screen._compositor.render_strips()

    def lines(self) -> list[str]:
        """The screen as text."""
        return [strip.text for strip in self.strips()]

    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.lines())


@asynccontextmanager
async def drive(
    source: FakeSource | None = None,
    size: tuple[int, int] = (120, 30),
    home: Path = Path("/nonexistent"),
    preferences: Preferences | None = None,
    **options: Any,
) -> AsyncIterator[Driver]:
    """A running monitor whose first page has been read."""
    source = source or FakeSource()
    app = MonitorApp(source, Options(home=home, **options), preferences)
    async with app.run_test(size=size) as pilot:
        driver = Driver(app, pilot)
        await driver.until(lambda: isinstance(app.page, JobsScreen) and app.page.is_composed, "the first page")
        if source.down is None and source.hold.is_set():
            await driver.until(lambda: driver.jobs.listing.read_once and app.overview is not None, "the first reading")
            await driver.quiet()
        yield driver
    source.close()


def looks(driver: Driver) -> str:
    """The screen as text, and under it its colours: what a picture shows, in a form whose changes can be read."""
    rows, colours = [], []
    for number, strip in enumerate(driver.strips()):
        rows.append(strip.text.rstrip())
        at, runs = 0, []
        for segment in strip.simplify():
            end = at + segment.cell_length
            if end == at:
                continue
            runs.append(f"{at}-{end} {segment.style}")
            at = end
        colours.append(f"{number}: " + "; ".join(runs))
    return "\n".join([*rows, "", *colours, ""])


async def compare(driver: Driver, name: str) -> None:
    """Compare the screen with the one that was looked at and kept; MONITOR_SNAPSHOTS=update keeps this one."""
    path = Path(__file__).parents[1] / "monitor" / "snapshots" / f"{name}.txt"
    if os.environ.get("MONITOR_SNAPSHOTS") == "update":
        path.parent.mkdir(exist_ok=True)
        path.write_text(looks(driver), encoding="utf-8")
    before = path.read_text(encoding="utf-8")
    end = time.monotonic() + PATIENCE
    while (now := looks(driver)) != before and time.monotonic() < end:  # what is beside the table may come later
        await driver.pilot.pause(0.05)
    changes = "\n".join(difflib.unified_diff(before.splitlines(), now.splitlines(), "kept", "now", lineterm="", n=0))
    assert not changes, f"the screen {name} changed; look at it, then keep it:\n{changes}"
