"""What the monitor's queries cost on 200,000 rows: which index answers, and how many pages of memory it reads."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, event

from jobnb.db.database import Database
from jobnb.db.queries import counts, detail, places, reports, walk, window
from jobnb.db.rows import JobRow, Mark
from jobnb.db.terms import Filter, Term
from jobnb.settings import Settings
from monitor.filters import parse
from monitor.model import EVERYTHING


@pytest.fixture(scope="module")
def database(many_rows_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """200,000 rows."""
    opened = Database(Settings(database_url=many_rows_url, home=tmp_path_factory.mktemp("home")), visiting=True)
    yield opened
    opened.close()


class Plans:
    """The plans of the statements that a query function sends, and what they read."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, query: Callable[..., Any], *args: Any, **kwargs: Any) -> Plans:
        self.indexes: set[str] = set()
        self.buffers = 0
        self.sequential = False

        def run(conn: Connection) -> Any:
            statements: list[tuple[str, Any]] = []

            def note(conn: Any, cursor: Any, statement: str, parameters: Any, *rest: Any) -> None:
                statements.append((statement, parameters))

            event.listen(conn, "before_cursor_execute", note)
            result = query(conn, *args, **kwargs)
            event.remove(conn, "before_cursor_execute", note)
            for statement, parameters in statements:
                if statement.lstrip().startswith(("SELECT", "WITH")):
                    explained = conn.exec_driver_sql(
                        f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", parameters
                    ).scalar_one()
                    plan = explained if isinstance(explained, list) else json.loads(explained)
                    self._add(plan[0]["Plan"], is_top=True)
            return result

        self.result = self._database.run(run)
        return self

    def _add(self, node: dict[str, Any], *, is_top: bool) -> None:
        if is_top:
            self.buffers += node["Shared Hit Blocks"] + node["Shared Read Blocks"]
        if "Index Name" in node and "kernels" not in node["Index Name"]:
            self.indexes.add(node["Index Name"])
        if node["Node Type"] == "Seq Scan" and node["Relation Name"] in ("jobs", "job_logs"):
            self.sequential = True
        for child in node.get("Plans", []):
            self._add(child, is_top=False)


@pytest.fixture
def plans(database: Database) -> Plans:
    return Plans(database)


@pytest.fixture(scope="module")
def middle(database: Database) -> Mark:
    """A place in the middle."""
    step = database.run(walk.walk, EVERYTHING, None, 100_000, 100_000)
    assert step.last is not None
    return step.last


@pytest.fixture(scope="module")
def newest(database: Database) -> JobRow:
    return database.run(window.read_page, EVERYTHING, 1).rows[0]


def filtered(text: str) -> Filter:
    return parse(text)


PAGES = {
    # filter: index, pages of 8 kB at most for 60 rows
    "": ("jobs_created_idx", 60),
    "state:done": ("jobs_created_idx", 500),
    "state:failed": ("jobs_created_idx", 900),
    "state:failures": ("jobs_created_idx", 600),
    "-state:done": ("jobs_created_idx", 600),
    "type:train.": ("jobs_created_idx", 250),
    "since:1h": ("jobs_created_idx", 900),
}


@pytest.mark.parametrize("text", PAGES)
def test_page_at_the_top_reads_a_few_pages_of_memory(plans: Plans, text: str) -> None:
    index, limit = PAGES[text]
    found = plans.of(window.read_page, filtered(text), 60)

    assert len(found.result.rows) == 60
    assert index in found.indexes
    assert not found.sequential
    assert found.buffers <= limit


@pytest.mark.parametrize("text", ["", "state:failures", "type:train.", "-state:done"])
def test_page_in_the_middle_costs_what_one_at_the_top_does(plans: Plans, middle: Mark, text: str) -> None:
    found = plans.of(window.read_page, filtered(text), 60, middle)

    assert len(found.result.rows) == 60
    assert "jobs_created_idx" in found.indexes
    assert found.buffers <= 2_000


def test_jump_skips_along_the_index(plans: Plans, middle: Mark) -> None:
    found = plans.of(window.read_page, EVERYTHING, 60, middle, 1_999)

    assert found.indexes >= {"jobs_created_idx"}
    assert found.buffers <= 400


@pytest.mark.parametrize("text", ["state:running", "state:queued", "state:active"])
def test_unfinished_jobs_are_found_by_their_own_index(plans: Plans, text: str) -> None:
    for query in (window.read_page, window.read_last_page):
        found = plans.of(query, filtered(text), 60, few=True)

        assert len(found.result.rows) == 60
        assert "jobs_active_idx" in found.indexes
        assert not found.sequential
        assert found.buffers <= 1_500


@pytest.mark.parametrize("text", ["type:=nothing", "type:nothing"])
def test_type_that_nobody_uses_is_known_at_once(plans: Plans, text: str) -> None:
    found = plans.of(window.read_page, filtered(text), 60, few=True)

    assert found.indexes == {"jobs_type_idx"}
    assert found.buffers <= 10


def test_last_page_is_read_from_the_other_end(plans: Plans) -> None:
    found = plans.of(window.read_last_page, EVERYTHING, 60)

    assert found.indexes >= {"jobs_created_idx"}
    assert found.buffers <= 100


def test_rows_without_a_time_are_a_range_of_the_index(plans: Plans) -> None:
    found = plans.of(window.read_page, EVERYTHING, 60, places.WITHOUT_TIME)

    assert found.result.rows == []
    assert found.indexes == {"jobs_created_idx"}
    assert found.buffers <= 10


def test_walk_reads_the_index_only(plans: Plans) -> None:
    found = plans.of(walk.walk, EVERYTHING, None, 100_000, 2_000)

    assert found.result.passed == 100_000
    assert found.indexes == {"jobs_created_idx"}
    assert found.buffers <= 1_500


def test_new_jobs_are_counted_in_the_index_only(plans: Plans, middle: Mark) -> None:
    found = plans.of(places.count_above, EVERYTHING, middle, 1_001)

    assert found.result == 1_001
    assert found.indexes == {"jobs_created_idx"}
    assert found.buffers <= 40


def test_jobs_between_two_near_places_are_counted_there(plans: Plans, database: Database) -> None:
    wanted = filtered("state:failed")
    upper, lower = (mark for _, mark in database.run(walk.walk, wanted, None, 400, 200).marks)
    found = plans.of(places.count_between, wanted, upper, lower, 10**9)

    assert found.result == 200
    assert "jobs_created_idx" in found.indexes
    assert found.buffers <= 1_000


def test_next_failure_is_near(plans: Plans, middle: Mark) -> None:
    for older in (True, False):
        found = plans.of(window.next_failure, EVERYTHING, middle, older=older)

        assert found.result.is_failure
        assert found.indexes >= {"jobs_created_idx"}
        assert found.buffers <= 200


def test_search_step_reads_what_it_looks_at(plans: Plans, middle: Mark) -> None:
    found = plans.of(walk.search, filtered("nothing_like_this"), middle, 2_000)

    assert (found.result.passed, found.result.marks) == (2_000, [])
    assert found.indexes == {"jobs_created_idx"}
    assert found.buffers <= 600


def test_search_in_errors_looks_at_failed_jobs_only(plans: Plans) -> None:
    found = plans.of(walk.search, filtered("error:shape"), None, 500)

    assert found.result.passed == 500
    assert found.buffers <= 4_000


def test_rows_are_read_by_their_ids(plans: Plans, database: Database) -> None:
    ids = [row.job_id for row in database.run(window.read_page, EVERYTHING, 60).rows]
    found = plans.of(window.read_rows, ids)

    assert len(found.result) == 60
    assert "jobs_pkey" in found.indexes
    assert found.buffers <= 400


def test_header_counts_from_indexes(plans: Plans, newest: JobRow) -> None:
    found = plans.of(counts.count_changing, newest.mark, 30.0)

    assert found.indexes >= {"jobs_active_idx", "jobs_failed_idx", "jobs_created_idx"}
    assert not found.sequential
    assert found.buffers <= 1_200


def test_all_jobs_are_counted_in_the_index_only(plans: Plans, newest: JobRow) -> None:
    found = plans.of(counts.count_all, newest.mark)

    assert found.result == 200_000
    assert found.indexes == {"jobs_created_idx"}
    assert found.buffers <= 2_500


def test_list_of_types_looks_once_for_each(plans: Plans) -> None:
    found = plans.of(counts.list_types, "")

    assert len(found.result) == 10
    assert found.indexes == {"jobs_type_idx"}
    assert found.buffers <= 80


def test_reports_read_their_sample_only(plans: Plans) -> None:
    errors = plans.of(reports.group_errors, EVERYTHING, 1_000)
    assert errors.result.examined == 1_000
    assert errors.indexes == {"jobs_failed_idx"}
    assert errors.buffers <= 2_500

    types = plans.of(reports.sum_up_types, EVERYTHING, 5_000)
    assert types.result.examined == 5_000
    assert types.indexes == {"jobs_finished_idx", "jobs_active_idx"}
    assert types.buffers <= 7_000


def test_detail_and_log_read_their_own_rows(plans: Plans, database: Database, newest: JobRow) -> None:
    from jobnb.db.queries import get_job

    job = database.run(get_job, newest.job_id)
    assert job is not None
    around = plans.of(detail.read_surroundings, job)
    assert not around.sequential
    assert around.buffers <= 100
    log = plans.of(detail.read_log, newest.job_id, None, None, 100)
    assert len(log.result[0]) == 100
    assert log.indexes == {"job_logs_pkey"}
    assert log.buffers <= 150


def test_retries_of_a_job_are_found_by_an_index(plans: Plans) -> None:
    found = plans.of(window.read_page, Filter((Term("retry_of", "is", (UUID(int=1),)),)), 20, few=True)

    assert found.indexes == {"jobs_retry_idx"}
    assert found.buffers <= 10
