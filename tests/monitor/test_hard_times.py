"""The link is cut, frozen, refused; the terminal is small, colourless, served: the monitor goes on."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from driving import drive
from fake_source import FakeSource
from rich.cells import cell_len
from waiting import in_time

from jobnb.errors import ConfigurationError
from monitor.model import Access, LinkState, LinkStatus, Server
from monitor.tui.keymap import Preferences, load_preferences
from monitor.tui.pace import AWAY, BUSY, IDLE, Pace
from monitor.tui.serve import serve
from monitor.tui.widgets.banner import words
from monitor.tui.widgets.header import freshness

NEWEST = 999_999


async def test_a_cut_link_shows_a_banner_and_keys_still_work() -> None:
    source = FakeSource()
    async with drive(source) as driver:
        await driver.press("j", "j")
        source.cut("connection refused")
        await driver.sees("no database: connection refused")
        await driver.sees("12 s old")
        await driver.press("j", "j")
        assert driver.table.cursor == 4
        assert driver.table.current == source.row(NEWEST - 4)
        assert driver.table.has_focus


async def test_r_tries_at_once_and_the_cursor_is_where_it_was() -> None:
    source = FakeSource()
    async with drive(source) as driver:
        await driver.press("j", "j", "j")
        before = driver.table.current
        source.cut()
        await driver.sees("R tries now")
        source.change(NEWEST - 1, message="changed meanwhile")
        await driver.press("R")
        assert source.calls["reconnect"] == 1
        await driver.sees("changed meanwhile")
        await driver.sees_no("no database")
        assert driver.table.current == before


async def test_a_start_without_a_database_waits_for_it() -> None:
    source = FakeSource()
    source.cut("no server there")
    async with drive(source) as driver:
        await driver.sees("waiting for the database")
        await driver.sees("no server there")
        source.mend()
        await driver.sees("1,000,000 jobs")


async def test_a_frozen_link_blocks_no_key_and_the_age_grows() -> None:
    source = FakeSource()
    async with drive(source) as driver:
        source.hold.clear()
        source.link_state = replace(source.link_state, status=LinkStatus.SLOW, age=3.0)
        begin = time.monotonic()
        await driver.press("j", "j", "pagedown", "g", "G", "x", "J")
        in_time(begin, 5)
        await driver.sees("3 s old")
        await driver.sees("slow to answer")
        source.link_state = replace(source.link_state, age=40.0)
        await driver.sees("40 s old")


async def test_leaving_does_not_wait_for_a_frozen_link() -> None:
    source = FakeSource()
    async with drive(source) as driver:
        source.hold.clear()
        await driver.press("x", "T", "q")
        begin = time.monotonic()
    in_time(begin, 5)


async def test_a_lost_link_refuses_actions_and_says_why() -> None:
    source = FakeSource()
    async with drive(source) as driver:
        source.cut()
        await driver.press("c")
        await driver.sees("can't cancel while there is no database")
        assert not source.done


async def test_no_thread_is_left_behind() -> None:
    before = {thread for thread in threading.enumerate() if thread.name.startswith("monitor-")}
    async with drive() as driver:
        await driver.press("x", "T", "w")
    end = time.monotonic() + 5
    while left := {t for t in threading.enumerate() if t.name.startswith("monitor-")} - before:
        assert time.monotonic() < end, left
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("size", [(40, 12), (20, 5), (60, 20), (250, 70)])
async def test_every_page_fits_every_terminal(size: tuple[int, int]) -> None:
    async with drive(size=size) as driver:
        for keys in (
            ("j",),
            ("enter",),
            ("escape", "escape", "x"),
            ("T",),
            ("w",),
            ("question_mark",),
            ("escape", "J", "y"),
        ):
            await driver.press(*keys)
            assert len(driver.lines()) == size[1]
            assert {cell_len(line) for line in driver.lines()} == {size[0]}


async def test_without_colours_states_are_told_by_symbol_and_the_cursor_by_its_bar(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with drive() as driver:
        await driver.press("j")
        for strip in driver.strips():
            for segment in strip:
                for colour in (segment.style.color, segment.style.bgcolor) if segment.style else ():
                    if colour is not None and colour.triplet is not None:
                        assert len(set(colour.triplet)) == 1, "a colour on a terminal that wants none"
        assert "▌  ○ scheduled" in driver.text()
        assert "◐ running" in driver.text()


async def test_every_theme_shows_jobs_and_details() -> None:
    async with drive(size=(150, 30)) as driver:
        await driver.press("j", "j", "j", "enter")
        for theme in driver.app.available_themes:
            driver.app.theme = theme
            await driver.pilot.pause()
            colours = {segment.style.color for strip in driver.strips() for segment in strip if segment.style}
            assert len(colours) > 5, theme


async def test_an_unknown_theme_is_said() -> None:
    async with drive(theme="nonsense") as driver:
        assert driver.app.theme == "jobnb"
        await driver.sees("there is no theme 'nonsense'")


async def test_p_holds_everything_still() -> None:
    source = FakeSource()
    async with drive(source) as driver:
        await driver.press("p")
        await driver.sees("held")
        await driver.pilot.pause(IDLE)  # a look whose time was set before still comes
        asked = source.calls["window"]
        await driver.pilot.pause(0.7)
        assert source.calls["window"] == asked
        await driver.press("p")
        await driver.until(lambda: source.calls["window"] > asked)


def test_the_pace_spares_what_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    source = FakeSource()
    pace = Pace(source)
    assert (pace.seconds(busy=True), pace.seconds(busy=False)) == (BUSY, IDLE)
    source.link_state = replace(source.link_state, latency=0.2)
    assert pace.seconds(busy=True) == BUSY * 2
    pace.blurred = True
    assert pace.seconds(busy=True) == AWAY
    pace.held = True
    assert pace.seconds(busy=True) is None
    assert Pace(source, refresh=3.0).seconds(busy=True) == 3.0
    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.1 22")
    assert Pace(FakeSource()).seconds(busy=True) == BUSY * 2


def test_a_database_that_sleeps_is_left_to_sleep_until_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    source = FakeSource()
    source.link_state = replace(source.link_state, server=Server("neon", sleeps=True))
    pace = Pace(source)
    assert not pace.is_asleep
    now = time.monotonic()
    monkeypatch.setattr("monitor.tui.pace.time.monotonic", lambda: now + 301)
    assert pace.seconds(busy=True) is None
    assert pace.touched()
    assert pace.seconds(busy=True) is not None


def test_the_rate_is_changed_by_halves() -> None:
    pace = Pace(FakeSource(), refresh=1.0)
    assert pace.change(1) == "looking 2 times less often"
    assert pace.seconds(busy=True) == 2.0
    assert pace.change(-1) == "looking as often as usual"
    assert pace.change(-1) == "looking 2 times as often"


def link(status: LinkStatus, **facts: object) -> LinkState:
    return LinkState(status, **{"age": 0.1, **facts})  # type: ignore[arg-type]


def test_the_age_of_data_is_told_in_words_and_colours() -> None:
    assert freshness(link(LinkStatus.UP)) == ("● live", "$job-done")
    assert freshness(link(LinkStatus.SLOW, age=3.4)) == ("● 3 s old", "$warning")
    assert freshness(link(LinkStatus.DOWN, age=100.0)) == ("● 1:40 old", "$error")
    assert freshness(link(LinkStatus.CONNECTING, age=None))[0] == "… connecting"
    assert freshness(link(LinkStatus.UP), held=True)[0] == "‖ held"


def test_the_banner_says_what_is_wrong_and_what_to_do() -> None:
    assert words(link(LinkStatus.UP)) == ""
    down = link(LinkStatus.DOWN, message="connection refused\x1b[2J", retry_in=12.0)
    assert words(down) == "no database: connection refused␛[2J · next try in 12 s · R tries now"
    assert "trying again" in words(link(LinkStatus.DOWN, message="connection refused", retry_in=0.4))
    assert words(link(LinkStatus.REFUSED, message="no table jobs")).startswith("this can't work: no table jobs")


async def test_a_read_only_monitor_says_so_and_refuses() -> None:
    source = FakeSource()
    access = Access(may_cancel=False, may_retry=False, may_delete=False, reason="started with --read-only")
    source.link_state = replace(source.link_state, access=access)
    async with drive(source, size=(180, 45)) as driver:
        await driver.sees("read-only")
        for key, word in (("c", "cancel"), ("r", "retry"), ("D", "delete")):
            await driver.press(key)
            await driver.sees(f"can't {word} here: started with --read-only")
        assert not source.done


async def test_keys_can_be_changed() -> None:
    source = FakeSource()
    preferences = Preferences(keys={"table.down": "ctrl+n", "job.cancel": "X", "app.help": "f2"})
    async with drive(source, size=(150, 40), preferences=preferences) as driver:
        await driver.press("j")
        assert driver.table.cursor == 0
        await driver.press("ctrl+n")
        assert driver.table.cursor == 1
        await driver.sees("X cancel")
        await driver.press("f2")
        await driver.sees("X")
        await driver.sees("ask to stop")


def test_a_keymap_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "monitor.toml"
    assert load_preferences(path) == Preferences()
    path.write_text('theme = "nord"\n[keys]\n"job.cancel" = "X"\n')
    assert load_preferences(path) == Preferences("nord", {"job.cancel": "X"})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[keys", "can't be read"),
        ('[keys]\n"job.cancle" = "X"', "did you mean 'job.cancel'"),
        ('[keys]\n"job.cancel" = 3', "give keys as a text"),
        ("keys = 3", "write a table"),
    ],
)
def test_a_wrong_keymap_file_says_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "monitor.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=said):
        load_preferences(path)


def test_serving_a_taken_port_says_so() -> None:
    import socket

    pytest.importorskip("textual_serve")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigurationError, match="can't be used"):
            serve(["--read-only"], taken.getsockname()[1])
