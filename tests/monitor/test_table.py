"""The windowed table: what it paints, where its cursor stays, what it shows of hostile texts."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from driving import drive
from fake_source import NOW, FakeSource, make_row
from rich.cells import cell_len
from textual.app import App, ComposeResult

from monitor.model import LogRow
from monitor.tui.widgets.columns import head, place, spans
from monitor.tui.widgets.job_columns import job_columns
from monitor.tui.widgets.job_table import JobTable
from monitor.tui.widgets.rows import Rows
from monitor.tui.widgets.sparkline import bars

TOTAL = 1_000_000
NEWEST = TOTAL - 1


async def painted_by(driver: Any, deed: Any) -> tuple[int, int]:
    """How many lines of the table were made anew, and how many the terminal was sent, for what is done."""
    regions: list[Any] = []
    compositor = driver.app.screen._compositor
    original = compositor.update_widgets

    def noticing(widgets: set[Any]) -> None:
        for widget in widgets:
            if isinstance(widget, JobTable):
                regions.extend(widget._repaint_regions)
        original(widgets)

    compositor.update_widgets = noticing
    before = driver.table.lines_drawn
    await deed()
    compositor.update_widgets = original
    return driver.table.lines_drawn - before, sum(region.height for region in regions)


async def test_one_changed_row_repaints_one_line() -> None:
    source = FakeSource()
    async with drive(source) as driver:
        await driver.press("p")  # no looks but ours
        row = source.change(NEWEST - 5, message="epoch 13/20, loss 0.280", progress=0.65)

        async def deed() -> None:
            driver.jobs.listing.want()
            await driver.sees("loss 0.280")

        assert await painted_by(driver, deed) == (1, 1)
        assert driver.table.rows[5] == row


async def test_rows_that_are_read_again_unchanged_repaint_nothing() -> None:
    source = FakeSource()
    async with drive(source) as driver:
        await driver.press("p")
        asked = source.calls["window"]

        async def deed() -> None:
            for round_ in range(1, 4):
                driver.jobs.listing.want()
                await driver.until(lambda more=round_: source.calls["window"] >= asked + more)

        assert await painted_by(driver, deed) == (0, 0)


async def test_a_change_that_no_column_shows_repaints_nothing() -> None:
    source = FakeSource()
    async with drive(source) as driver:
        await driver.press("p")
        row = source.change(NEWEST - 4, group_id=make_row(1, 1).job_id)

        async def deed() -> None:
            driver.jobs.listing.want()
            await driver.until(lambda: driver.table.rows[4] == row)

        assert await painted_by(driver, deed) == (0, 0)


async def test_the_cursor_moving_repaints_two_lines() -> None:
    async with drive() as driver:
        await driver.press("p")
        assert await painted_by(driver, lambda: driver.press("j")) == (2, 2)


async def test_new_jobs_repaint_nothing_while_the_list_holds_still() -> None:
    source = FakeSource()
    async with drive(source) as driver:
        await driver.press("j", "j", "p")
        await driver.until(lambda: not driver.jobs.listing.view.is_following)

        async def deed() -> None:
            source.add(12)
            driver.jobs.listing.want()
            await driver.sees("▲ 12 new")

        assert await painted_by(driver, deed) == (0, 0)


async def test_a_second_repaints_only_lines_that_say_something_else() -> None:
    source = FakeSource()
    async with drive(source) as driver:
        await driver.press("p")
        table = driver.table
        assert table.tick(table.now) == 0
        from datetime import timedelta

        changed = table.tick(table.now + timedelta(seconds=1))
        told_in_seconds = sum(table.rows[line].is_active or line < 9 for line in range(table.height))
        assert 0 < changed <= told_in_seconds + 3


class Alone(App[None]):
    """A table and nothing else."""

    def compose(self) -> ComposeResult:
        yield JobTable(id="jobs")

    def get_css_variables(self) -> dict[str, str]:
        return {**super().get_css_variables(), "job-done": "green"}


async def test_the_cursor_stays_on_its_job_when_jobs_above_leave() -> None:
    async with Alone().run_test(size=(100, 20)) as pilot:
        table = pilot.app.query_one(JobTable)
        rows = [make_row(NEWEST - n, NEWEST) for n in range(40)]
        table.put(0, rows)
        table.focus()
        await pilot.press(*"jjjjj")
        assert table.current == rows[5]
        table.put(0, [*rows[:2], *rows[4:]])
        await pilot.pause()
        assert table.current == rows[5]
        assert table.cursor == 3


async def test_the_cursor_stays_on_its_line_when_its_job_leaves() -> None:
    async with Alone().run_test(size=(100, 20)) as pilot:
        table = pilot.app.query_one(JobTable)
        rows = [make_row(NEWEST - n, NEWEST) for n in range(40)]
        table.put(0, rows)
        table.focus()
        await pilot.press(*"jjjjj")
        table.put(0, [*rows[:5], *rows[6:]])
        await pilot.pause()
        assert table.cursor == 5
        assert table.current == rows[6]


async def test_a_million_rows_are_reached_at_both_ends() -> None:
    source = FakeSource()
    async with drive(source) as driver:
        await driver.press("G")
        await driver.until(lambda: driver.table.current == source.row(0), "the oldest job under the cursor")
        await driver.press("g")
        await driver.until(lambda: driver.table.current == source.row(NEWEST), "the newest job under the cursor")
        assert len(driver.table.rows._rows) < 5000


async def test_scrolling_by_pages_shows_every_row_once() -> None:
    source = FakeSource()
    async with drive(source) as driver:
        seen = []
        for _ in range(6):
            top, height = driver.table.first, driver.table.height
            await driver.until(lambda: driver.table.rows.missing(driver.table.first, driver.table.height) is None)
            seen += [driver.table.rows[line] for line in range(top, top + height)]
            await driver.press("pagedown")
        numbers = [NEWEST - source.number(row.job_id) for row in seen]
        assert sorted(set(numbers)) == list(range(max(numbers) + 1))


def test_rows_keep_their_places_when_others_come_in_on_top() -> None:
    rows: Rows[str] = Rows(str)
    rows.put(0, ["a", "b", "c"])
    place_of_b = rows.place(1)
    rows.push_down(2)
    assert rows.total == 5
    assert [rows[line] for line in range(5)] == [None, None, "a", "b", "c"]
    assert rows.line(place_of_b) == 3
    assert rows.missing(0, 5) == (0, 2)
    assert rows.find("c", 0, 5) == 4


@pytest.mark.parametrize("width", [40, 60, 76, 100, 140, 180, 300])
def test_columns_fit_any_width_exactly(width: int) -> None:
    placed = place(job_columns(width), width - 3)
    assert len(head(placed)) <= width - 3
    for number in range(30):
        drawn = spans(placed, make_row(NEWEST - number, NEWEST), NOW)
        assert sum(cell_len(text) for text, _ in drawn) == len(head(placed))


def test_forty_columns_still_tell_name_state_and_age() -> None:
    names = [one.column.name for one in place(job_columns(40), 37)]
    assert {"name", "state", "age"} <= set(names)


def test_wide_terminals_tell_everything() -> None:
    names = {one.column.name for one in place(job_columns(180), 177)}
    assert names == {"state", "id", "name", "type", "progress", "took", "age", "try", "kernel", "message"}


HOSTILE = {
    "markup": "job[/foo] [bold red]x[/] [@click=app.quit]y[/]",
    "clipboard": "\x1b]52;c;aGVsbG8=\x07gift",
    "screen": "\x1b[2J\x1b[H\x1b[31mred\x9b2J",
    "direction": "abc\u202egnp.exe\u2066\u2069\u200f",
    "marks": "z" + "\u0301" * 300 + "algo",
    "long": "y" * 10_000,
    "lines": "one\ntwo\r\nthree\x0bfour\x85five\u2028six\ttab",
    "wide": "训练模型训练模型训练模型 한국어 ﷽",
    "emoji": "👩🏽‍💻 ❤️ 🇩🇪🇫🇷 1️⃣ ☎️",
    "zero": "a\u200bb\u2060c\ufeffd\u00ade\x00",
    "surrogate": "half \ud83d here",
    "empty": "",
}


@pytest.mark.parametrize("width", [40, 100, 180])
async def test_hostile_texts_break_no_row(width: int) -> None:
    source = FakeSource()
    for back, text in enumerate(HOSTILE.values()):
        source.change(NEWEST - back, name=text or None, message=text, job_type=text[:50] or "t", kernel=text)
    async with drive(source, size=(width, 20)) as driver:
        assert_harmless(driver.lines(), width)


async def test_hostile_texts_break_no_page_of_a_job() -> None:
    source = FakeSource()
    for back, text in enumerate(HOSTILE.values()):
        source.change(NEWEST - back, name=text or None, message=text, job_type=text[:50] or "t", kernel=text)
    async with drive(source, size=(60, 20)) as driver:
        for _ in HOSTILE:
            await driver.press("enter")
            assert_harmless(driver.lines(), 60)
            await driver.press("escape", "j")


async def test_hostile_logs_and_tracebacks_break_no_row() -> None:
    source = FakeSource()
    everything = "\n".join(HOSTILE.values())
    row = source.change(NEWEST - 2, state="failed", message=everything)
    source.logs[row.job_id] = [LogRow(n, NOW, "stdout", text) for n, text in enumerate(HOSTILE.values(), 1)]
    source.details[row.job_id] = {
        "traceback": f"Traceback (most recent call last):\n{everything}",
        "error_message": everything.replace("\x00", ""),
        "source": {"function": everything, "text": everything, everything: everything},
        "result": {"result": {everything: everything}},
    }
    async with drive(source, size=(160, 24)) as driver:
        await driver.press("j", "j", "enter")
        for tab in "ltoi":
            await driver.press(tab)
            await driver.until(lambda: driver.jobs.pane.detail is not None)
            assert_harmless(driver.lines(), 160)


def assert_harmless(lines: list[str], width: int) -> None:
    for line in lines:
        assert cell_len(line) == width, line
        assert not any(unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") for character in line)


def test_a_chart_tells_a_quiet_minute_from_a_dead_one() -> None:
    assert bars([0, 1, 100], 3)[0][:2] == " ▁"
    assert bars([5] * 10, 5, 2) == ["█████", "█████"]
    assert bars([], 4) == ["    "]
    assert bars(list(range(100)), 10)[0][-1] == "▇"


async def test_the_cursor_stays_on_a_line_that_was_not_read_when_it_came() -> None:
    async with Alone().run_test(size=(100, 20)) as pilot:
        table = pilot.app.query_one(JobTable)
        rows = [make_row(NEWEST - n, NEWEST) for n in range(40)]
        table.put(0, rows[:1])
        table.set_total(40)
        table.focus()
        await pilot.press("j")
        table.put(0, rows)
        await pilot.pause()
        assert table.current == rows[1]
