"""From a key to a plan, a question, an outcome, and back; and what is copied."""

from __future__ import annotations

import os
import stat
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from driving import drive
from fake_source import FakeSource, job_id

from jobnb.errors import DatabaseUnavailable
from monitor.model import Access, Action, Count, Outcome, Plan, Progress, Target
from monitor.tui import clipboard
from monitor.tui.screens.confirm import ConfirmScreen, describe
from monitor.tui.screens.copy import CopyScreen
from monitor.tui.screens.errors import ErrorsScreen
from monitor.tui.screens.jobs import JobsScreen

NEWEST = 999_999


async def test_cancel_shows_what_it_would_do_and_does_it_on_enter() -> None:
    source = FakeSource()
    async with drive(source) as driver:
        await driver.press("j", "j", "j", "c")
        await driver.sees("Ask 1 job to stop?")
        await driver.sees("undo: jobs that did not stop yet go on")
        assert not source.done
        await driver.press("enter")
        await driver.sees("cancel: 1 asked to stop")
        await driver.sees("u undoes it")
        assert source.done == [("cancel", Target(job_ids=(job_id(NEWEST - 3),)))]


async def test_escape_does_nothing() -> None:
    source = FakeSource()
    async with drive(source) as driver:
        await driver.press("c")
        await driver.sees("to stop?")
        await driver.press("escape")
        await driver.until(lambda: isinstance(driver.app.screen, JobsScreen))
        assert not source.done


async def test_a_second_enter_does_not_do_it_twice() -> None:
    source = FakeSource()
    async with drive(source) as driver:
        await driver.press("c")
        await driver.sees("to stop?")
        await driver.press("enter", "enter")
        await driver.sees("asked to stop")
        assert len(source.done) == 1


async def test_undo_takes_it_back_once() -> None:
    source = FakeSource()
    async with drive(source) as driver:
        await driver.press("c")
        await driver.sees("to stop?")
        await driver.press("enter")
        await driver.sees("u undoes it")
        await driver.press("u")
        await driver.sees("undone: cancel: 1 goes on")
        assert source.done[-1] == ("undo", "cancel")
        await driver.press("u")
        await driver.sees("there is nothing to undo")


async def test_what_cannot_be_undone_does_not_say_so() -> None:
    source = FakeSource()
    async with drive(source) as driver:
        await driver.press("4")
        await driver.until(lambda: driver.table.current is not None and driver.table.current.state == "done")
        await driver.press("D")
        await driver.sees("Delete 1 job for good?")
        await driver.sees("can't be brought back")
        await driver.press("enter")
        await driver.sees("delete: 1 deleted")
        assert "undoes it" not in driver.text()


async def test_marked_jobs_are_meant_and_unmarked_afterwards() -> None:
    source = FakeSource()
    async with drive(source) as driver:
        await driver.press("space", "space", "space", "c")
        await driver.sees("Ask 3 jobs to stop?")
        await driver.press("enter")
        await driver.sees("cancel: 3 asked to stop")
        assert set(source.done[0][1].job_ids) == {job_id(NEWEST - n) for n in range(3)}
        assert not driver.table.marked


async def test_a_whole_filter_is_meant_with_its_words() -> None:
    source = FakeSource()
    async with drive(source) as driver:
        await driver.press("3", "asterisk", "r")
        await driver.sees("all that fit  state:failed,timeout,lost")
        await driver.sees("more")
        await driver.press("s")
        await driver.sees("UPDATE jobs SET")
        await driver.press("enter")
        await driver.sees("scheduled again")
        assert source.done[0][1].filter.text == "state:failed,timeout,lost"


async def test_nothing_to_do_is_said_and_enter_leaves() -> None:
    source = FakeSource()
    async with drive(source) as driver:
        await driver.press("4")
        await driver.until(lambda: driver.table.current is not None and driver.table.current.state == "done")
        await driver.press("c")
        await driver.sees("Nothing to do")
        await driver.sees("left alone: 1 · ended already")
        await driver.press("enter")
        await driver.until(lambda: isinstance(driver.app.screen, JobsScreen))
        assert not source.done


async def test_a_plan_that_fails_says_why() -> None:
    source = FakeSource()
    async with drive(source) as driver:
        source.plan = _raising(DatabaseUnavailable("the server went away"))  # type: ignore[method-assign]
        await driver.press("c")
        await driver.sees("the server went away")
        assert isinstance(driver.app.screen, JobsScreen)


def _raising(error: Exception) -> Any:
    def fail(*_: Any) -> Any:
        raise error

    return fail


async def test_a_long_action_shows_how_far_it_is_and_stops_on_escape() -> None:
    source = FakeSource()
    asked_to_stop = []

    def execute(plan: Plan, progress: Any) -> Outcome:
        while progress(Progress(1000, 1000, 30_000)):
            time.sleep(0.1)
        asked_to_stop.append(True)
        return Outcome(plan.action, 1000, {"scheduled again": 1000}, (), stopped=True)

    source.execute = execute  # type: ignore[method-assign]
    async with drive(source) as driver:
        await driver.press("3", "asterisk", "r")
        await driver.sees("all that fit")
        await driver.press("enter")
        await driver.sees("1,000 of about 30,000")
        await driver.press("escape")
        await driver.sees("retry: 1,000 scheduled again · stopped before its end")
        assert asked_to_stop


async def test_a_group_of_errors_is_retried_with_one_key() -> None:
    source = FakeSource()
    async with drive(source) as driver:
        await driver.press("x")
        await driver.sees("KeyError: 'customer_id'")
        await driver.press("j", "r")
        await driver.sees("all that fit  same:00000001")
        await driver.press("enter")
        await driver.sees("scheduled again")
        assert isinstance(driver.app.page, ErrorsScreen)


async def test_a_group_of_errors_is_shown_with_enter() -> None:
    source = FakeSource()
    async with drive(source) as driver:
        await driver.press("x")
        await driver.sees("KeyError: 'customer_id'")
        await driver.press("enter")
        await driver.sees("/ same:00000000")
        await driver.until(lambda: driver.table.current is not None and driver.table.current.state == "failed")


async def test_types_and_kernels_lead_to_their_jobs() -> None:
    async with drive() as driver:
        await driver.press("T")
        await driver.sees("half take")
        await driver.press("j", "enter")
        await driver.sees("/ type:=cross_validation")
        await driver.press("w")
        await driver.sees("at work")
        await driver.press("j", "enter")
        await driver.sees("/ kernel:churn.ipynb")


def test_a_plan_shows_no_raw_text_of_a_job() -> None:
    row = FakeSource().row(NEWEST)._replace(name="\x1b]52;c;x\x07[red]")
    plan = Plan(
        Action.CANCEL, Target(), Count(1), {"gone\x1b[2J": 2}, (row,), "SELECT", ("careful\x9b",), None, "\x07"
    )  # fmt: skip
    text = describe(plan, 80).plain
    assert not any(character in text for character in "\x1b\x07\x9b")
    assert "[red]" in text


# copying


async def test_a_job_is_copied_as_python(tmp_path: Path) -> None:
    async with drive(home=tmp_path) as driver:
        await driver.press("j", "y")
        await driver.until(lambda: isinstance(driver.app.screen, CopyScreen))
        await driver.press("p")
        text = f'jobnb.get("{job_id(NEWEST - 1)}")'
        await driver.until(lambda: driver.app.clipboard == text)
        assert (tmp_path / "copied.txt").read_text() == text
        await driver.sees("copied Python")


async def test_everything_about_a_failure_can_be_copied(tmp_path: Path) -> None:
    source = FakeSource()
    async with drive(source, home=tmp_path, filter_text="state:failed") as driver:
        for letter, part in (("t", "Traceback"), ("i", "-7000-"), ("s", "SELECT * FROM jobs"), ("c", "jobnb show"),
                             ("f", "def train"), ("m", "Error"), ("v", ".result()")):  # fmt: skip
            await driver.press("y")
            await driver.until(lambda: isinstance(driver.app.screen, CopyScreen))
            await driver.press(letter)
            await driver.until(lambda wanted=part: wanted in driver.app.clipboard)


async def test_the_menu_of_copies_is_driven_by_arrows_too(tmp_path: Path) -> None:
    async with drive(home=tmp_path) as driver:
        await driver.press("y")
        await driver.until(lambda: isinstance(driver.app.screen, CopyScreen))
        await driver.press("j", "j", "enter")
        await driver.until(lambda: driver.app.clipboard == str(job_id(NEWEST)))
        await driver.press("y")
        await driver.until(lambda: isinstance(driver.app.screen, CopyScreen))
        await driver.press("escape")
        await driver.until(lambda: isinstance(driver.app.screen, JobsScreen))


def test_a_copied_text_is_kept_for_its_owner_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMUX", raising=False)
    home = tmp_path / "home"
    copied = clipboard.keep("half \ud83d", home)
    assert copied == clipboard.Copied(home / "copied.txt", fits=True)
    assert (home / "copied.txt").read_text() == "half ?"
    assert stat.S_IMODE((home / "copied.txt").stat().st_mode) == 0o600
    assert not clipboard.keep("x" * 80_000, home).fits


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMUX", raising=False)
    (tmp_path / "file").write_text("")
    copied = clipboard.keep("x", tmp_path / "file" / "home")
    assert copied.path is None
    assert copied.problem


def test_tmux_is_asked_by_its_own_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin" / "tmux"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked; cat > {tmp_path}/got\n')
    program.chmod(0o755)
    monkeypatch.setenv("TMUX", "somewhere")
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    clipboard.keep("to tmux", tmp_path)
    assert (tmp_path / "asked").read_text() == "load-buffer -w -\n"
    assert (tmp_path / "got").read_text() == "to tmux"


async def test_a_role_that_lacks_a_privilege_is_told_which() -> None:
    source = FakeSource()
    access = Access(may_cancel=True, may_retry=True, may_delete=False, reason="role ada may not DELETE from jobs")
    source.link_state = replace(source.link_state, access=access)
    async with drive(source) as driver:
        await driver.press("D")
        await driver.sees("can't delete here: role ada may not DELETE from jobs")
        await driver.press("c")
        await driver.until(lambda: isinstance(driver.app.screen, ConfirmScreen))


# the palette and help


async def test_the_palette_finds_commands_and_runs_them() -> None:
    async with drive() as driver:
        await driver.press("ctrl+p")
        await driver.type("failures of")
        await driver.sees("Failures of the last hour")
        await driver.press("enter")
        await driver.sees("/ state:failures finished:<1h")
        await driver.press("colon")
        await driver.type("the kernels")
        await driver.press("escape")


async def test_the_palette_takes_hostile_words() -> None:
    async with drive() as driver:
        await driver.press("ctrl+p")
        await driver.type("[/x]")
        await driver.sees("Filter jobs by [/x]")
        await driver.press("escape")


async def test_help_tells_every_key_and_the_language() -> None:
    async with drive(size=(140, 60)) as driver:
        await driver.press("question_mark")
        for text in (
            "ask to stop",
            "state:failed,lost",
            "its process went away before it ended",
            "to the next failed job",
        ):
            await driver.sees(text)
        await driver.press("escape")
        await driver.until(lambda: isinstance(driver.app.screen, JobsScreen))
