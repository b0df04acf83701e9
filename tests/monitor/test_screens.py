"""Pictures of the screens, as words and colours; each was looked at before it was kept.

MONITOR_SNAPSHOTS=update keeps what they look like now; look at the difference before you commit it.
"""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from driving import Driver, compare, drive
from fake_source import NOW, FakeSource

from monitor.model import LinkStatus


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> object:
    """Times are shown in the reader's own zone."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


async def still(driver: Driver) -> None:
    """Nothing moves any more; ages are told for one and the same moment."""
    driver.app.pace.held = False
    driver.table.tick(NOW)
    await driver.quiet()


async def test_a_wide_list_has_every_column_and_its_marks() -> None:
    async with drive(size=(180, 45)) as driver:
        await driver.press("j", "j", "space", "space")
        await still(driver)
        await compare(driver, "jobs_wide")


async def test_details_stand_beside_a_wide_list() -> None:
    async with drive(size=(180, 45), filter_text="state:failed") as driver:
        await driver.press("enter")
        await driver.sees("Traceback (most recent call last)")
        await driver.sees("KeyError")
        await still(driver)
        await compare(driver, "jobs_with_details")


async def test_the_list_on_a_usual_terminal_is_the_one_kept() -> None:
    async with drive(size=(100, 30)) as driver:
        await still(driver)
        await compare(driver, "jobs_medium")


async def test_a_small_list_leaves_columns_out() -> None:
    async with drive(size=(60, 20)) as driver:
        await still(driver)
        await compare(driver, "jobs_small")


async def test_a_tiny_list_still_shows_states_and_names() -> None:
    async with drive(size=(40, 12)) as driver:
        await still(driver)
        await compare(driver, "jobs_tiny")


async def test_a_running_job_shows_its_progress_and_its_log() -> None:
    async with drive(size=(100, 30)) as driver:
        await driver.press("j", "j", "j", "j", "enter")
        await driver.sees("epoch 40/40")
        await driver.sees("Log 40")
        await compare(driver, "details_running")


async def test_errors_are_listed_with_the_details_of_one() -> None:
    async with drive(size=(140, 24)) as driver:
        await driver.press("x")
        await driver.sees("newest ")
        await compare(driver, "errors")


async def test_types_are_listed_with_how_they_fare() -> None:
    async with drive(size=(140, 24)) as driver:
        await driver.press("T")
        await driver.sees("half of 900")
        await compare(driver, "types")


async def test_kernels_are_listed_with_what_they_do() -> None:
    async with drive(size=(140, 24)) as driver:
        await driver.press("w")
        await driver.sees("5 jobs run and 2 wait")
        await compare(driver, "kernels")


async def test_a_lost_database_is_said_above_the_list() -> None:
    source = FakeSource()
    async with drive(source, size=(100, 24)) as driver:
        source.cut("can't reach 127.0.0.1:5432: connection refused")
        source.link_state = replace(source.link_state, status=LinkStatus.DOWN, retry_in=None)
        await driver.sees("no database")
        await still(driver)
        await compare(driver, "no_database")


async def test_the_light_theme_looks_as_it_did() -> None:
    async with drive(size=(100, 24), theme="jobnb-light") as driver:
        await still(driver)
        await compare(driver, "light")
