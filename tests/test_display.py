"""How jobs look, as pure functions: golden files in tests/golden. `JOBNB_WRITE_GOLDEN=1` writes them anew; look at them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath
from uuid import UUID

import pytest

from jobnb.display import html, text
from jobnb.display.arguments import brief, brief_call
from jobnb.display.overview import Overview, overview_html, overview_of, overview_text
from jobnb.display.words import clock, duration, moment, percent, running_time
from jobnb.models import Job

GOLDEN = Path(__file__).parent / "golden"
START = datetime(2026, 3, 1, 12, 30, 5, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _in_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def job(number: int = 1, **fields: object) -> Job:
    known = {
        "job_id": UUID(int=0x0190A000_0000_7000_8000_000012340000 + number),
        "job_type": "analysis",
        "name": "train",
        "created_at": START,
    }
    return Job(**{**known, **fields})  # type: ignore[arg-type]


def ended(number: int, status: str, seconds: float, **fields: object) -> Job:
    return job(
        number,
        status=status,
        started_at=START,
        finished_at=START + timedelta(seconds=seconds),
        duration_s=seconds,
        **fields,
    )


TRACEBACK = 'Traceback (most recent call last):\n  Cell In[3], line 2, in train\n    raise ValueError("<b>no</b>")\nValueError: <b>no</b>\n'
JOBS = {
    "scheduled": job(1),
    "running": job(
        2, status="in_progress", started_at=START, duration_s=42.0, progress=0.3, progress_message="epoch 3 & more"
    ),
    "running-without-progress": job(
        3, status="in_progress", started_at=START, duration_s=7.0, name=None, job_type="ocr"
    ),
    "asked-to-stop": job(4, status="in_progress", started_at=START, duration_s=9.0, cancel_requested_at=START),
    "done": ended(5, "done", 187.0, progress=1.0, progress_message="epoch 10"),
    "done-value-not-stored": ended(6, "done", 0.04, result_error="too big"),
    "failed": ended(7, "failed", 3.21, error_kind="error", error_message="ValueError: <b>no</b>", traceback=TRACEBACK),
    "cancelled": ended(8, "failed", 2.0, error_kind="cancelled", error_message="cancelled after 2.0 s"),
    "timed-out": ended(
        9, "failed", 5.0, error_kind="timeout", error_message="timed out after 5 s; the function has stopped"
    ),
    "lost": ended(10, "failed", 60.0, error_kind="lost", error_message="lost: the process ended"),
}


def check(name: str, shown: str) -> None:
    path = GOLDEN / name
    if os.environ.get("JOBNB_WRITE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(shown + "\n")
    assert shown + "\n" == path.read_text()


@pytest.mark.parametrize("name", JOBS)
def test_a_card_looks_as_it_should(name: str) -> None:
    check(f"card-{name}.html", html.job_card(JOBS[name]))


def test_lines_of_text_look_as_they_should() -> None:
    check("lines.txt", "\n".join(text.job_line(one) for one in JOBS.values()))


def test_the_table_of_jobs_looks_as_it_should() -> None:
    check("table.html", html.job_table(list(JOBS.values()), "10 jobs"))
    check("table.txt", text.job_table(list(JOBS.values())))


def test_an_overview_of_many_looks_as_it_should() -> None:
    rows = [(JOBS["failed"], "'a.csv'"), (JOBS["running"], "'b.csv'"), (JOBS["scheduled"], "'c.csv'")]
    going_on = Overview("train", {"failed": 1, "in_progress": 2, "scheduled": 7, "done": 90}, rows, 0.925, 60.0, None)
    check("overview-live.html", overview_html(going_on))
    check("overview-live.txt", overview_text(going_on))
    over = overview_of([one for one in JOBS.values() if one.status.is_final], "train")
    check("overview-over.html", overview_html(over))
    check("overview-over.txt", overview_text(over))


class _Tags(HTMLParser):
    """Collects what an untrusted notebook would lose, and what is left open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.names.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize(
    "make",
    [html.job_card, lambda one: html.job_table([one]), lambda one: overview_html(overview_of([one]))],
    ids=["card", "table", "overview"],
)
def test_html_is_whole_escaped_and_needs_no_script_or_style_sheet(make: Callable[[Job], str]) -> None:
    nasty = '<script>alert("x")</script>&<img onerror=1>\x1b[31m'
    shown = make(
        ended(
            1, "failed", 1.0, name=nasty, job_type=nasty[:40], error_message=nasty, error_kind="error", traceback=nasty
        )
    )
    tags = _Tags()
    tags.feed(shown)
    tags.close()
    assert tags.open == []
    assert tags.names <= {"div", "span", "b", "table", "tr", "td", "th", "details", "summary", "pre"}
    assert "\x1b" not in shown.replace(nasty, "")


def test_every_state_is_a_word_and_a_symbol_and_a_colour() -> None:
    shown = {name: html.badge(one) for name, one in JOBS.items()}
    states = {one.state for one in JOBS.values()}
    assert len(states) == 7
    assert len({shown[name] for name in JOBS}) == 7


def test_an_estimate_is_marked_as_one_and_comes_only_with_something_to_estimate_from() -> None:
    assert running_time(None, 0.5) == ""
    assert running_time(30.0, None) == "0:30"
    assert running_time(0.5, 0.5) == "0:00"
    assert running_time(30.0, 0.25) == "0:30 < ≈1:30"
    assert running_time(30.0, 1.0) == "0:30"


def test_times_are_as_short_as_they_can_be_said() -> None:
    assert [clock(seconds) for seconds in (0, 59.9, 61, 7261)] == ["0:00", "0:59", "1:01", "2:01:01"]
    assert [duration(seconds) for seconds in (0.04, 9.95, 42, 187)] == ["0.0 s", "9.9 s", "42 s", "3:07"]
    assert moment(START) == "2026-03-01 12:30 UTC"


def test_a_job_is_at_100_percent_only_when_it_is() -> None:
    assert [percent(fraction) for fraction in (0.0, 0.29, 0.999, 1.0)] == ["0%", "29%", "99%", "100%"]


class Shy:
    def __repr__(self) -> str:
        raise AssertionError("no code of the user's is run")

    def __len__(self) -> int:
        raise AssertionError("no code of the user's is run")


def test_arguments_are_told_in_words_without_running_their_code() -> None:
    assert brief_call((1, "a.csv", None), {"rate": 0.1}) == "1, 'a.csv', None, rate=0.1"
    assert brief_call((Shy(),), {"frame": [1, 2, 3, 4, 5]}) == "Shy, frame=list[5]"
    assert brief(PurePosixPath("/data/big/table.parquet")) == "'table.parquet'"
    assert brief(len) == "len"
    assert len(brief("x" * 1000)) == 24
    assert len(brief_call(tuple(range(100)), {})) <= 40
