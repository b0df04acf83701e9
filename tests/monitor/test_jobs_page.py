"""The list of jobs, driven by its keys."""

from __future__ import annotations

from datetime import timedelta

from driving import Driver, drive
from fake_source import NOW, FakeSource, job_id

from monitor.model import Search
from monitor.tui.screens.detail import DetailScreen, JobDetail
from monitor.tui.screens.jobs import JobsScreen
from monitor.tui.widgets.filter_bar import settled

NEWEST = 999_999


async def to_an_error(driver: Driver) -> None:
    """Put the cursor on a job that has a traceback."""
    while driver.table.current.state != "failed":
        before = driver.table.current
        await driver.press("n")
        await driver.until(lambda passed=before: driver.table.current != passed)


async def test_new_jobs_appear_on_top_while_the_list_follows() -> None:
    source = FakeSource()
    async with drive(source) as driver:
        source.add(3)
        await driver.until(lambda: driver.table.current == source.row(NEWEST + 3))
        assert driver.table.rows[3] == source.row(NEWEST)
        await driver.sees("following")


async def test_leaving_the_top_holds_the_list_still() -> None:
    source = FakeSource()
    async with drive(source) as driver:
        await driver.press("j", "j")
        before = driver.table.current
        source.add(12)
        await driver.sees("▲ 12 new")
        assert driver.table.current == before
        assert driver.table.rows[0] == source.row(NEWEST)
        await driver.press("g")
        await driver.until(lambda: driver.table.current == source.row(NEWEST + 12))
        await driver.sees("following")
        await driver.sees_no("new, g")


async def test_f_holds_a_list_still_that_is_at_its_top() -> None:
    source = FakeSource()
    async with drive(source) as driver:
        await driver.press("f")
        await driver.sees("holding still")
        source.add(2)
        await driver.sees("▲ 2 new")
        await driver.press("f")
        await driver.sees("following")


async def test_a_change_shows_by_itself() -> None:
    source = FakeSource()
    async with drive(source) as driver:
        source.change(NEWEST - 5, state="done", progress=None, finished_at=NOW, duration_s=34.0)
        await driver.until(lambda: driver.table.rows[5].state == "done")


async def test_a_filter_is_applied_while_it_is_typed() -> None:
    source = FakeSource()
    async with drive(source) as driver:
        await driver.press("slash")
        await driver.type("state:failed")
        await driver.until(lambda: driver.table.rows.total and driver.table.rows[0].state == "failed")
        assert driver.jobs.bar.typing
        await driver.type(" type:ocr")
        await driver.until(lambda: driver.table.current is not None and driver.table.current.job_type == "ocr")
        await driver.press("enter")
        assert driver.table.has_focus
        await driver.sees("/ state:failed type:ocr")
        await driver.press("escape")
        await driver.until(lambda: driver.table.rows.total == source.total, "all jobs again")


async def test_leaving_the_filter_brings_the_one_before_back() -> None:
    async with drive() as driver:
        await driver.press("3")
        await driver.sees("state:failed,timeout,lost")
        await driver.press("slash")
        await driver.type("type:ocr")
        await driver.until(lambda: "type:ocr" in driver.jobs.bar.text)
        await driver.press("escape")
        await driver.sees("/ state:failed,timeout,lost")
        await driver.until(lambda: driver.table.current is not None and driver.table.current.is_failure)


async def test_a_wrong_filter_says_what_is_wrong_and_changes_nothing() -> None:
    async with drive() as driver:
        await driver.press("slash")
        await driver.type("stat:failed ")
        await driver.sees("no key 'stat'")
        assert driver.table.rows.total == 1_000_000
        await driver.press("enter")
        assert driver.jobs.bar.typing
        await driver.press("escape")
        await driver.sees_no("no key 'stat'")


async def test_tab_completes_what_is_typed() -> None:
    async with drive() as driver:
        await driver.press("slash")
        await driver.type("sta")
        await driver.sees("status:")
        await driver.press("tab")
        await driver.until(lambda: driver.jobs.bar.input.value == "status:")
        await driver.sees("status:failed")
        await driver.press("down", "down", "enter")
        assert driver.jobs.bar.input.value == "status:failed"
        await driver.press("enter")
        await driver.until(lambda: driver.table.current is not None and driver.table.current.state == "failed")


def test_the_beginning_of_a_key_is_not_looked_for() -> None:
    assert settled("type:ocr sta") == "type:ocr "
    assert settled("type:ocr -stat") == "type:ocr "
    assert settled("type:ocr sta ") == "type:ocr sta "
    assert settled("invoice") == "invoice"


async def test_digits_show_one_state_and_again_all() -> None:
    async with drive() as driver:
        for digit, state in (("1", "in_progress"), ("2", "scheduled"), ("4", "done"), ("5", "cancelled")):
            await driver.press(digit)
            await driver.until(
                lambda wanted=state: driver.table.current is not None and driver.table.current.state == wanted
            )
        await driver.press("5")
        await driver.until(lambda: driver.table.rows.total == 1_000_000)


async def test_a_filter_that_nothing_fits_says_so() -> None:
    async with drive(filter_text="type:nothing") as driver:
        await driver.sees("no job fits this filter")
        await driver.press("escape")
        await driver.sees("1,000,000 jobs")


async def test_an_empty_table_teaches() -> None:
    async with drive(FakeSource(0)) as driver:
        await driver.sees("no jobs yet")
        await driver.sees("jobnb.submit(train, df)")


async def test_s_sorts_and_says_what_is_sorted() -> None:
    async with drive() as driver:
        await driver.press("s", "s")
        await driver.until(lambda: driver.jobs.listing.view.sort.key == "took")
        await driver.sees("took ▾")
        await driver.sees("newest 10,000")
        await driver.sees("longest first")
        await driver.until(lambda: driver.table.rows[0].duration_s >= driver.table.rows[1].duration_s)
        await driver.press("S")
        await driver.sees("took ▴")
        await driver.press("f")
        await driver.sees("following")


async def test_a_click_on_a_title_sorts_by_it() -> None:
    async with drive() as driver:
        line = driver.lines()[3]
        await driver.pilot.click(offset=(line.index("took") + 1, 3))
        await driver.sees("took ▾")


async def test_n_goes_to_the_next_failure_and_back() -> None:
    source = FakeSource()
    async with drive(source) as driver:
        await driver.press("n")
        await driver.until(lambda: driver.table.current is not None and driver.table.current.is_failure)
        first = driver.table.current
        await driver.press("n")
        await driver.until(lambda: driver.table.current != first and driver.table.current.is_failure)
        await driver.press("N")
        await driver.until(lambda: driver.table.current == first)


async def test_no_further_failure_is_said() -> None:
    source = FakeSource(6)
    async with drive(source) as driver:
        await driver.press("n")
        await driver.sees("no failed job further down")


async def test_marks_are_counted_and_taken_away() -> None:
    source = FakeSource()
    async with drive(source) as driver:
        await driver.press("space", "space")
        await driver.sees("● 2 marked")
        assert driver.table.marked == {job_id(NEWEST), job_id(NEWEST - 1)}
        await driver.press("j", "j", "v")
        await driver.sees("● 5 marked")
        await driver.press("escape")
        await driver.sees_no("marked")
        assert not driver.table.marked


async def test_marks_stay_with_their_jobs_when_the_filter_changes() -> None:
    async with drive() as driver:
        await driver.press("space", "4")
        await driver.until(lambda: driver.table.current is not None and driver.table.current.state == "done")
        await driver.sees("● 1 marked")
        assert driver.jobs.target().job_ids == (job_id(NEWEST),)


async def test_asterisk_marks_the_whole_filter() -> None:
    async with drive() as driver:
        await driver.press("3", "asterisk")
        await driver.sees("marked")
        target = driver.jobs.target()
        assert target.filter.text == "state:failed,timeout,lost"
        assert not target.job_ids


async def test_a_search_says_how_far_it_is_and_can_be_stopped() -> None:
    source = FakeSource()
    source.search = Search(NOW - timedelta(days=300), 0.4, False, 12)
    async with drive(source, size=(140, 30), filter_text="error:bad") as driver:
        await driver.sees("searched back to")
        await driver.sees("40%")
        await driver.press("escape")
        await driver.until(lambda: not driver.jobs.listing.is_searching)
        assert driver.jobs.bar.text == "error:bad"


async def test_details_stand_beside_the_table_where_there_is_room() -> None:
    source = FakeSource()
    async with drive(source, size=(180, 45)) as driver:
        await to_an_error(driver)
        await driver.press("enter")
        await driver.sees("Traceback (most recent call last)")
        pane = driver.jobs.pane
        assert pane.tab == "traceback"
        before = pane.row
        await driver.press("j")
        await driver.until(lambda: pane.detail is not None and pane.detail.row != before, "the next job in the pane")
        await driver.press("enter")
        assert pane.text.has_focus
        await driver.press("escape")
        assert driver.table.has_focus
        await driver.press("escape")
        assert not pane.display


async def test_details_are_a_page_where_there_is_none() -> None:
    source = FakeSource()
    async with drive(source, size=(100, 30)) as driver:
        await to_an_error(driver)
        await driver.press("enter")
        await driver.sees("Traceback (most recent call last)")
        assert isinstance(driver.app.screen, DetailScreen)
        await driver.press("l")
        await driver.sees("epoch 40/40")
        await driver.press("o")
        await driver.sees("no result")
        await driver.press("i")
        await driver.sees("def train(frame")
        await driver.sees("work/experiments.ipynb")
        await driver.press("escape")
        await driver.until(lambda: isinstance(driver.app.screen, JobsScreen))


async def test_the_log_follows_and_holds_still_when_scrolled() -> None:
    source = FakeSource()
    async with drive(source, size=(100, 30)) as driver:
        await driver.press("j", "j", "j", "enter", "l")
        await driver.sees("epoch 40/40")
        log = driver.app.screen.query_one(JobDetail).log_view
        lines = source.logs[driver.app.page.current_job.job_id]
        lines.append(lines[-1]._replace(n=41, line="and one more"))
        await driver.sees("and one more")
        await driver.press("k", "k")
        assert not log.following
        lines.append(lines[-1]._replace(n=42, line="the last one"))
        await driver.until(lambda: log.last == 42)
        assert "the last one" not in driver.text()
        await driver.press("G")
        await driver.sees("the last one")


async def test_a_running_job_that_fails_shows_its_traceback() -> None:
    source = FakeSource()
    async with drive(source, size=(180, 40)) as driver:
        await driver.press("j", "j", "j", "enter")
        await driver.until(lambda: driver.jobs.pane.detail is not None)
        assert driver.jobs.pane.tab == "log"
        source.change(NEWEST - 3, state="failed", message="ValueError: bad", finished_at=NOW, duration_s=3.0)
        await driver.sees("Traceback (most recent call last)")


async def test_a_job_that_is_deleted_while_it_is_shown_says_so() -> None:
    source = FakeSource()
    async with drive(source, size=(100, 30)) as driver:
        await driver.press("j", "j", "j", "enter")
        await driver.until(lambda: driver.app.page.current_detail is not None)
        source.gone.add(driver.app.page.current_job.job_id)
        await driver.sees("somebody has deleted it")


async def test_resizing_keeps_the_job_and_shows_what_there_is_room_for() -> None:
    source = FakeSource()
    async with drive(source, size=(180, 40)) as driver:
        await driver.press("j", "j", "j", "j", "enter")
        await driver.until(lambda: driver.jobs.pane.detail is not None)
        before = driver.table.current
        for size in ((100, 30), (60, 20), (40, 12), (20, 6), (180, 40)):
            await driver.pilot.resize_terminal(*size)
            await driver.until(lambda width=size[0]: {len(line) for line in driver.lines()} == {width})
            assert driver.table.current == before
        await driver.sees(before.short_id)


async def test_a_click_moves_the_cursor_and_a_second_opens() -> None:
    async with drive(size=(180, 40)) as driver:
        await driver.pilot.click(offset=(20, 8))
        await driver.until(lambda: driver.table.cursor == 4)
        await driver.pilot.click(offset=(20, 8), times=2)
        await driver.until(lambda: driver.jobs.pane.display)
