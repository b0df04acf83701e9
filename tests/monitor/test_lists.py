"""Lists of jobs: any line of any view is the one that a full, sorted reading would give."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from jobnb.db.embedded import EmbeddedServer
from jobnb.settings import Settings
from monitor import kept, walked
from monitor.filters import parse
from monitor.model import EVERYTHING, JobRow, Sort, View, Window
from monitor.places import position, rank
from monitor.postgres import PostgresSource

AddJobs = Callable[..., list[UUID]]

ODD_ROWS = """
INSERT INTO jobs (job_id, job_type, status, error_kind, error_message, name, created_at, started_at, finished_at, duration_s)
SELECT CASE WHEN g % 3 = 0 THEN gen_random_uuid() ELSE lpad(to_hex(g), 32, '0')::uuid END,
       (ARRAY['train.a', 'train.b', 'etl', 'we ird'])[1 + g % 4],
       (CASE g % 5 WHEN 0 THEN 'failed' WHEN 1 THEN 'scheduled' WHEN 2 THEN 'in_progress' ELSE 'done' END)::job_status,
       CASE WHEN g % 5 = 0 THEN (ARRAY['error', 'cancelled', 'timeout', 'lost'])[1 + g / 5 % 4] END,
       CASE WHEN g % 5 = 0 THEN 'bad thing ' || g END, CASE WHEN g % 2 = 0 THEN 'name ' || g END,
       CASE WHEN g % 20 = 0 THEN NULL WHEN g = 7 THEN 'infinity' WHEN g = 8 THEN '-infinity'
            WHEN g = 9 THEN '0044-03-15 12:00:00 BC' WHEN g = 11 THEN '12026-01-01'
            ELSE timestamp '2026-11-01' + (g / 4) * interval '1.5 seconds' END,
       CASE WHEN g % 5 <> 1 THEN timestamp '2026-11-01' + g * interval '2 seconds' END,
       CASE WHEN g % 5 IN (0, 3, 4) THEN timestamp '2026-11-01' + g * interval '3 seconds' END,
       CASE WHEN g % 5 IN (0, 3, 4) THEN g END
FROM generate_series(1, 333) g
"""
ORDER = "ORDER BY created_at DESC NULLS LAST, job_id DESC"
FILTERS = {
    "": "true",
    "state:failures": "status = 'failed'",
    "state:failed": "error_kind = 'error'",
    "state:running": "status = 'in_progress'",
    "-state:done": "status <> 'done'",
    "type:train.": "job_type LIKE 'train.%'",
    'type:="we ird"': "job_type = 'we ird'",
    "type:nothing": "false",
    "name:name": "name ILIKE '%name%'",
    "thing": "error_message ILIKE '%thing%'",
    "took:>100": "duration_s > 100 OR (duration_s IS NULL AND started_at < now() - interval '100 seconds')",
    "-type:etl error:thing": "job_type <> 'etl' AND error_message ILIKE '%thing%'",
    "nowhere": "false",
}


@pytest.fixture(scope="module")
def odd_url(server: EmbeddedServer) -> Iterator[str]:
    """The URL of a database of rows with random ids, equal times, and times that Python can't express."""
    parts = server.conninfo()
    with psycopg.connect(**parts, autocommit=True) as connection:
        connection.execute("CREATE DATABASE odd_rows TEMPLATE template_with_schema")
        url = f"postgresql://{parts['user']}@/odd_rows?host={parts['host']}"
        with psycopg.connect(url, autocommit=True) as inside:
            inside.execute(ODD_ROWS)
        yield url
        connection.execute("DROP DATABASE odd_rows WITH (FORCE)")


@pytest.fixture
def odd_rows(odd_url: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection to the odd rows."""
    with psycopg.connect(odd_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def odd_source(odd_url: str, home: Path) -> Iterator[PostgresSource]:
    """The real source, over the odd rows."""
    opened = PostgresSource(Settings.load(database_url=odd_url))
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def short_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Places every 10 lines, so that short lists have many of them."""
    monkeypatch.setattr(walked, "EVERY", 10)


def expected_ids(sql: psycopg.Connection[Any], where: str) -> list[UUID]:
    return [row[0] for row in sql.execute(f"SELECT job_id FROM jobs WHERE {where} {ORDER}")]  # type: ignore[arg-type]


def ids(window: Window) -> list[UUID]:
    return [row.job_id for row in window.rows]


def survey(source: PostgresSource, view: View) -> None:
    while not source.survey(view).complete:
        pass


@pytest.mark.parametrize("text", FILTERS)
@pytest.mark.parametrize("walked_few", [True, False])
def test_any_line_is_that_of_a_full_reading(
    odd_source: PostgresSource,
    odd_rows: psycopg.Connection[Any],
    text: str,
    walked_few: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not walked_few:
        monkeypatch.setattr(walked, "FEW", 0)
    expected = expected_ids(odd_rows, FILTERS[text])
    view = View(parse(text))
    survey(odd_source, view)

    assert odd_source.window(view, 0, 1000).total == (len(expected), True)
    for same in (view, view.parked(odd_source.window(view, 0, 1).head)):
        for first in {0, 1, 9, 10, 11, len(expected) // 2, max(0, len(expected) - 7)}:
            window = odd_source.window(same, first, 7)
            assert ids(window) == expected[window.first : window.first + 7]
            assert window.first == first or first >= len(expected)


def test_line_is_found_before_anything_was_surveyed(
    odd_source: PostgresSource, odd_rows: psycopg.Connection[Any]
) -> None:
    expected = expected_ids(odd_rows, "true")

    assert ids(odd_source.window(View(), 300, 7)) == expected[300:307]


@pytest.mark.parametrize("text", ["", "state:failures", "thing"])
def test_line_beyond_the_end_gives_the_last_ones(
    odd_source: PostgresSource, odd_rows: psycopg.Connection[Any], text: str
) -> None:
    expected = expected_ids(odd_rows, FILTERS[text])
    view = View(parse(text))
    survey(odd_source, view)

    window = odd_source.window(view, 10**12, 5)

    assert (window.first, ids(window)) == (len(expected) - 5, expected[-5:])


@pytest.mark.parametrize("text", ["", "state:failures", "type:train.", "thing"])
def test_every_job_is_located_on_its_line(
    odd_source: PostgresSource, odd_rows: psycopg.Connection[Any], text: str
) -> None:
    expected = expected_ids(odd_rows, FILTERS[text])
    view = View(parse(text))
    survey(odd_source, view)
    some = random.Random(1).sample(list(enumerate(expected)), 20)

    found = [odd_source.locate(view, job_id) for _, job_id in some]

    assert [spot and (spot.line, spot.row.job_id) for spot in found] == some


def test_job_that_the_view_does_not_have_is_not_located(
    odd_source: PostgresSource, odd_rows: psycopg.Connection[Any]
) -> None:
    done = expected_ids(odd_rows, "status = 'done'")[0]

    assert odd_source.locate(View(parse("state:failed")), done) is None
    assert odd_source.locate(View(parse("thing")), done) is None
    assert odd_source.locate(View(), UUID(int=2**120)) is None


@pytest.mark.parametrize("text", ["", "-state:done", "name:name"])
@pytest.mark.parametrize("older", [True, False])
def test_next_failure_is_the_nearest_one(
    odd_source: PostgresSource, odd_rows: psycopg.Connection[Any], text: str, older: bool
) -> None:
    expected = expected_ids(odd_rows, FILTERS[text])
    failed = [job_id in set(expected_ids(odd_rows, "status = 'failed'")) for job_id in expected]
    view = View(parse(text))
    survey(odd_source, view)
    rows = {row.job_id: row for row in odd_source.window(view, 0, 1000).rows}

    for line in (0, 1, 50, len(expected) - 2, len(expected) - 1):
        spot = odd_source.next_failure(view, rows[expected[line]].mark, older=older)
        lines = range(line + 1, len(expected)) if older else range(line - 1, -1, -1)
        assert (spot.line if spot else None) == next((at for at in lines if failed[at]), None)


def test_first_and_last_failure_are_found_without_a_start(
    odd_source: PostgresSource, odd_rows: psycopg.Connection[Any]
) -> None:
    expected = expected_ids(odd_rows, "true")
    failed = expected_ids(odd_rows, "status = 'failed'")

    first, last = (odd_source.next_failure(View(), None, older=older) for older in (True, False))

    assert first is not None
    assert last is not None
    assert (first.line, last.line) == (expected.index(failed[0]), expected.index(failed[-1]))


def test_marks_sort_as_the_server_sorts_them(odd_source: PostgresSource, odd_rows: psycopg.Connection[Any]) -> None:
    marks = [row.mark for row in odd_source.window(View(), 0, 1000).rows]

    assert marks == sorted(marks, key=rank, reverse=True)
    assert [position(marks, mark) for mark in marks] == list(range(len(marks)))


@pytest.mark.parametrize("text", ["", "state:done", "name:new"])
def test_parked_view_stays_while_jobs_come(source: PostgresSource, add_jobs: AddJobs, text: str) -> None:
    add_jobs(30, name="new")
    view = View(parse(text))
    survey(source, view)
    before = source.window(view, 0, 10)
    parked = view.parked(before.head)

    new = add_jobs(4, name="new")
    look_again(source)
    window, following = source.window(parked, 0, 10), source.window(view, 0, 10)

    assert ids(window) == ids(before)
    assert (window.newer, window.total) == ((4, True), (30, window.total.exact))
    assert ids(following)[:4] == new[::-1]


def look_again(source: PostgresSource) -> None:
    """Make everything due that is only done now and then."""
    for listing in source._lists.values():
        for pace in (getattr(listing, "_new", None), getattr(listing, "_changed", None)):
            if pace is not None:
                pace.now()
        if isinstance(listing, walked.WalkedList):
            listing._newer = None
            listing._offsets.clear()


def test_more_than_a_thousand_new_jobs_are_not_counted_exactly(source: PostgresSource, add_jobs: AddJobs) -> None:
    add_jobs(1)
    parked = View().parked(source.window(View(), 0, 1).head)
    add_jobs(1_500)

    assert source.window(parked, 0, 1).newer == (1_000, False)


def test_anchor_holds_the_screen_while_rows_above_leave(
    source: PostgresSource, add_jobs: AddJobs, sql: psycopg.Connection[Any]
) -> None:
    add_jobs(40, status="in_progress")
    view = View(parse("state:running"))
    before = source.window(view, 10, 10)
    above = [row.job_id for row in source.window(view, 0, 10).rows]
    sql.execute("UPDATE jobs SET status = 'done' WHERE job_id = ANY(%s)", (above,))

    window = source.window(view, 10, 10, before.rows[0].mark)

    assert (ids(window), window.first) == (ids(before), 10)


def test_anchor_of_a_deleted_job_still_holds_its_place(
    source: PostgresSource, add_jobs: AddJobs, sql: psycopg.Connection[Any]
) -> None:
    add_jobs(20)
    before = source.window(View(), 5, 10)
    sql.execute("DELETE FROM jobs WHERE job_id = %s", (before.rows[0].job_id,))

    assert ids(source.window(View(), 5, 9, before.rows[0].mark)) == ids(before)[1:]


@pytest.mark.parametrize("text", ["error:boom", "took:>500", "is:stopping", "progress:>90%"])
def test_search_notices_a_job_that_comes_to_fit(
    source: PostgresSource, add_jobs: AddJobs, sql: psycopg.Connection[Any], text: str
) -> None:
    (job_id,) = add_jobs(1, status="in_progress")
    view = View(parse(text))
    survey(source, view)
    assert ids(source.window(view, 0, 10)) == []

    sql.execute(
        "UPDATE jobs SET progress = 0.95, cancel_requested_at = now(), started_at = now() - interval '1 hour'"
        " WHERE job_id = %s", (job_id,)
    )  # fmt: skip
    if text == "error:boom":
        sql.execute(
            "UPDATE jobs SET status = 'failed', error_message = 'boom', finished_at = timezone('utc', now())"
            " WHERE job_id = %s", (job_id,)
        )  # fmt: skip
    look_again(source)

    assert ids(source.window(view, 0, 10)) == [job_id]


def test_search_drops_a_job_that_no_longer_fits_and_fills_its_line(
    source: PostgresSource, add_jobs: AddJobs, sql: psycopg.Connection[Any]
) -> None:
    jobs = add_jobs(12, status="in_progress", progress_message="loading")
    view = View(parse("message:loading"))
    survey(source, view)
    sql.execute("UPDATE jobs SET progress_message = 'training' WHERE job_id = %s", (jobs[-1],))

    window = source.window(view, 0, 5)

    assert ids(window) == jobs[-2:-7:-1]
    assert source.window(view, 0, 5).total == (11, True)


def test_search_keeps_the_newest_and_says_so(
    source: PostgresSource, add_jobs: AddJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "KEPT", 20)
    jobs = add_jobs(50, name="x")
    view = View(parse("name:x"))
    survey(source, view)

    window = source.window(view, 0, 100)

    assert ids(window) == jobs[:-21:-1]
    assert not window.total.exact
    assert "newest 20" in window.note


def test_search_tells_how_far_it_has_come(source: PostgresSource, add_jobs: AddJobs) -> None:
    add_jobs(3_000, name="x")
    view = View(parse("name:y"))
    listing: Any = source._listing(view)
    listing._chunk = 1_000

    source.survey(view)
    halfway = source.window(view, 0, 10).search
    survey(source, view)
    end = source.window(view, 0, 10).search

    assert halfway is not None
    assert end is not None
    assert 0 < halfway.fraction < 1
    assert halfway.back_to is not None
    assert (end.fraction, end.complete, end.found) == (1.0, True, 0)


SORTS = {
    "finished": "finished_at",
    "type": "job_type",
    "name": "coalesce(name, job_type)",
    "took": "coalesce(duration_s, extract(epoch FROM timezone('utc', now()) - started_at))",
    "progress": "progress",
}


@pytest.mark.parametrize("key", SORTS)
@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("text", ["", "thing", "state:done"])
def test_other_orders_are_those_of_the_server(
    odd_source: PostgresSource, odd_rows: psycopg.Connection[Any], key: str, descending: bool, text: str
) -> None:
    direction = "DESC" if descending else "ASC"
    where = FILTERS.get(text, "status = 'done'")
    order = f"{SORTS[key]} {direction} NULLS LAST, created_at DESC NULLS LAST, job_id DESC"
    found = odd_rows.execute(f"SELECT job_id FROM jobs WHERE {where} ORDER BY {order}")  # type: ignore[arg-type]
    expected = [row[0] for row in found]
    view = View(parse(text), Sort(key, descending))
    survey(odd_source, view)

    window = odd_source.window(view, 3, 20)

    assert ids(window) == expected[window.first : window.first + 20]
    assert window.total == (len(expected), True)


@pytest.mark.parametrize("key", ["waited", "state", "kernel"])
def test_every_order_can_be_read(odd_source: PostgresSource, odd_rows: psycopg.Connection[Any], key: str) -> None:
    assert len(odd_source.window(View(sort=Sort(key)), 0, 50).rows) == 50


def test_row_tells_what_its_line_needs(
    source: PostgresSource, add_jobs: AddJobs, add_kernel: Callable[..., UUID]
) -> None:
    kernel_id = add_kernel(notebook="/home/ada/study.ipynb")
    add_jobs(1, status="failed", error_kind="timeout", error_message="took too long", kernel_id=kernel_id, attempt=2,
             max_attempts=3, name="n" * 400, progress=0.5)  # fmt: skip

    (row,) = source.window(View(), 0, 1).rows

    assert isinstance(row, JobRow)
    assert (row.state, row.message, row.kernel, row.attempt, row.max_attempts) == (
        "timeout", "took too long", "study.ipynb", 2, 3,
    )  # fmt: skip
    assert (len(row.name or ""), row.progress, row.kernel_gone) == (300, 0.5, False)
    assert row.created_at is not None
    assert row.created_at.tzinfo is not None


def test_empty_table_is_an_empty_list(source: PostgresSource) -> None:
    survey(source, View())

    window = source.window(View(), 0, 50)

    assert (window.rows, window.total, window.head) == ((), (0, True), None)
    assert source.window(View(EVERYTHING), 10**9, 5).rows == ()
    assert source.next_failure(View(), None, older=True) is None


def test_jobs_are_found_by_any_part_of_the_id_that_people_see(source: PostgresSource, add_jobs: AddJobs) -> None:
    (job_id,) = add_jobs(1)

    for digits in (str(job_id), job_id.hex[-8:], job_id.hex[:10], f" {job_id.hex[-8:].upper()} "):
        assert [row.job_id for row in source.find(digits)] == [job_id]
    for part in (job_id.hex[-8:], job_id.hex[-8:-3], str(job_id)):
        view = View(parse(f"id:{part}"))
        survey(source, view)
        assert ids(source.window(view, 0, 5)) == [job_id]
