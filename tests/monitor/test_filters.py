"""The filter language: what it means, what it refuses, how it is completed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from waiting import in_time, until

from jobnb.errors import InvalidInput
from monitor.completion import complete
from monitor.conditions import Numbers, parse_conditions
from monitor.filter_words import KEYS
from monitor.filters import FilterError, get_key, parse, quoted, set_key
from monitor.model import EVERYTHING, Term, View
from monitor.postgres import PostgresSource

AddJobs = Callable[..., list[UUID]]

MEANS = {
    "state:failed": Term("state", "is", ("failed",)),
    "STATUS:Running": Term("state", "is", ("in_progress",)),
    "is:failed,lost": Term("state", "is", ("failed", "lost")),
    "state:ended": Term("state", "is", ("done", "unsuccessful")),
    "is:stopping": Term("flag", "is", ("stopping",)),
    "type:train.": Term("type", "starts", ("train.",)),
    "type:train.*": Term("type", "starts", ("train.",)),
    "type:=train": Term("type", "is", ("train",)),
    "type:*bert": Term("type", "like", ("*bert",)),
    "-type:etl": Term("type", "starts", ("etl",), negated=True),
    "!name:old": Term("name", "contains", ("old",), negated=True),
    'error:"bad shape"': Term("error", "contains", ("bad shape",)),
    "err:'bad shape'": Term("error", "contains", ("bad shape",)),
    'name:"it\'s"': Term("name", "contains", ("it's",)),
    "took>30s": Term("took", ">", (30.0,)),
    "took:1h30m": Term("took", ">=", (5400.0,)),
    "took:<=500ms": Term("took", "<=", (0.5,)),
    "progress:<50%": Term("progress", "<", (0.5,)),
    "progress:>0.5": Term("progress", ">", (0.5,)),
    "attempt:>1": Term("attempt", ">", (1,)),
    "since:2h": Term("created", ">=", (timedelta(hours=2),)),
    "before:2026-11-30": Term("created", "<", (datetime(2026, 11, 30, tzinfo=UTC),)),
    "created:>2026-11-30T14:05": Term("created", ">", (datetime(2026, 11, 30, 14, 5, tzinfo=UTC),)),
    "finished:<10m": Term("finished", ">", (timedelta(minutes=10),)),
    "finished:>10m": Term("finished", "<", (timedelta(minutes=10),)),
    "id:3F2A": Term("id", "contains", ("3f2a",)),
    "3f2a91bc": Term("id", "contains", ("3f2a91bc",)),
    "0190e5a0-0000-7000-8000-000000000001": Term("id", "is", (UUID("0190e5a0-0000-7000-8000-000000000001"),)),
    "same:3f2a91bc": Term("same", "is", ("3f2a91bc",)),
    "word": Term("text", "contains", ("word",)),
    '"http://x"': Term("text", "contains", ("http://x",)),
    "job[/foo]": Term("text", "contains", ("job[/foo]",)),
    "don't": Term("text", "contains", ("don't",)),
    "deadline": Term("text", "contains", ("deadline",)),
}


@pytest.mark.parametrize("text", MEANS)
def test_word_means_one_condition(text: str) -> None:
    assert parse(text).terms == (MEANS[text],)


def test_words_are_added_up() -> None:
    found = parse("  state:failed   type:train. -kernel:host-3 took:10s..1m ")

    assert [term.field for term in found.terms] == ["state", "type", "kernel", "took", "took"]
    assert found.text == "state:failed   type:train. -kernel:host-3 took:10s..1m"


@pytest.mark.parametrize("text", ["", "   ", "state:", "type:="])
def test_what_is_still_being_typed_is_every_job(text: str) -> None:
    assert parse(text) == EVERYTHING


REFUSED = {
    "stauts:failed": ("did you mean 'status'", 0, 13),
    "x state:fialed": ("did you mean 'failed'", 2, 14),
    "x took:soon": ("no length of time", 2, 11),
    "since:someday": ("no length of time", 0, 13),
    "created:2026-13-45": ("no date", 0, 18),
    "progress:much": ("no progress", 0, 13),
    "attempt:one": ("no number", 0, 11),
    "id:xyz": ("hex digits", 0, 6),
    "same:12": ("eight hex digits", 0, 7),
    "http://x": ("put the word in quotes", 0, 8),
    "state:>failed": ("has no order", 0, 13),
    "-took:1s..2s": ("range", 0, 12),
    "name:\x00": ("NUL", 0, 6),
    "x" * 2_001: ("2,001 characters", 2_000, 2_001),
}


@pytest.mark.parametrize("text", REFUSED)
def test_senseless_word_is_refused_with_its_place(text: str) -> None:
    words, start, end = REFUSED[text]

    with pytest.raises(FilterError, match=words) as error:
        parse(text)

    assert (error.value.start, error.value.end) == (start, end)


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.name)
@pytest.mark.parametrize("sign", ["", "-"])
def test_every_key_of_the_language_can_be_asked_of_the_server(
    source: PostgresSource, add_jobs: AddJobs, key: Any, sign: str
) -> None:
    add_jobs(3)
    view = View(parse(sign + key.example))

    while not source.survey(view).complete:
        pass

    assert len(source.window(view, 0, 10).rows) <= 3
    assert source.errors(view.filter).examined == 0
    assert source.types(view.filter).examined <= 3


FITS = {
    "100%_\\": True,
    "100": True,
    "10_%": False,
    "name:100%*": True,
    "name:1?0%*": True,
    "name:100": True,
    "-name:other": True,
    "-error:boom": True,
    "state:done": True,
    "-state:done": False,
    "state:lost,done": True,
    "took:>0.5": True,
    "took:<0.5": False,
    "-took:>5": True,
    "since:1h": True,
    "before:1h": False,
    "finished:<1h": True,
    "progress:>10%": False,
    "-progress:>10%": True,
    "is:named": True,
    "is:retry": False,
    "is:untaken": True,
    "kernel:host": False,
    "-kernel:host": True,
    "function:fit": True,
    "function:other": False,
}


@pytest.mark.parametrize("text", FITS)
def test_filter_finds_what_it_says(source: PostgresSource, add_jobs: AddJobs, text: str) -> None:
    add_jobs(1, name="100%_\\ of it", source={"function": "fit_model"})
    view = View(parse(text))
    while not source.survey(view).complete:
        pass

    assert len(source.window(view, 0, 10).rows) == FITS[text]


def test_age_moves_with_the_clock(source: PostgresSource, sql: psycopg.Connection[Any]) -> None:
    view = View(parse("since:1m"))
    assert not source.window(view, 0, 5).rows
    began = time.monotonic()
    sql.execute(
        "INSERT INTO jobs (job_type, status, created_at)"
        " VALUES ('a', 'done', timezone('utc', now()) - interval '59.5 seconds')"
    )
    found = source.window(view, 0, 5).rows
    in_time(began, 0.4)
    assert len(found) == 1

    until(lambda: not source.window(view, 0, 5).rows)

    assert len(source.window(View(parse("before:1m")), 0, 5).rows) == 1


def test_key_is_set_anew_in_a_filter() -> None:
    assert set_key("state:failed foo -status:lost", "state", "done") == "foo state:done"
    assert set_key("foo state:done", "state", None) == "foo"
    assert set_key("", "type", "we ird") == 'type:"we ird"'
    assert get_key("x -state:done status:lost", "state") == "lost"
    assert get_key("x -state:done", "state") is None


@pytest.mark.parametrize("value", ["plain", "two words", 'say "hi"', "it's", "-minus", "a:b", ""])
def test_quoted_value_is_read_back(value: str) -> None:
    terms = parse(f"name:{quoted(value)}").terms

    assert [term.values for term in terms] == ([(value,)] if value else [])


def look_up(key: str, beginning: str) -> Sequence[str]:
    known = {"type": ("train.bert", "train.resnet", "we ird"), "kernel": ("study.ipynb",)}
    return [one for one in known[key] if one.startswith(beginning)]


@pytest.mark.parametrize(
    ("text", "label", "after"),
    [
        ("sta", "state:", "state:"),
        ("fai", "state:failed", "state:failed "),
        ("state:fa", "failed", "state:failed "),
        ("-status:lo", "lost", "-status:lost "),
        ("state:done,la foo", "", ""),
        ("state:done,lo", "lost", "state:done,lost "),
        ("tr", "type:train.bert", "type:train.bert "),
        ("x type:we", "we ird", 'x type:"we ird" '),
        ("kernel:st", "study.ipynb", "kernel:study.ipynb "),
        ("is:st", "stopping", "is:stopping "),
    ],
)
def test_filter_is_completed(text: str, label: str, after: str) -> None:
    found = {one.label: one for one in complete(text, len(text), look_up)}

    assert (found[label].text if label else "") == after
    assert not label or found[label].cursor == len(after)


def test_word_in_the_middle_is_completed_in_its_place() -> None:
    key, value = complete("sta foo", 3, look_up)[0], complete("state:fa foo", 8, look_up)[0]

    assert (key.text, key.cursor) == ("state: foo", 6)
    assert (value.text, value.cursor) == ("state:failed foo", 13)


def test_values_of_the_database_complete_a_filter(source: PostgresSource, add_jobs: AddJobs) -> None:
    for job_type in ("train.a", "train.b", "etl_%"):
        add_jobs(2, job_type=job_type)

    assert [one.label for one in source.complete("type:train", 10)] == ["train.a", "train.b"]
    assert [one.label for one in source.complete("type:etl_", 9)] == ["etl_%"]
    assert [one.label for one in source.complete("type:nix", 8)] == []


def numbers(**counts: int) -> Numbers:
    now = datetime.now(UTC)
    return Numbers(counts, now - timedelta(minutes=11), now)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("failed>0", True),
        ("failed>=6", False),
        ("lost>0", False),
        ("failures==5", True),
        ("failed>4%", True),
        ("failed>5%", False),
        ("queued<3", True),
        ("total!=102", False),
        ("oldest_queued>10m", True),
        ("oldest_queued>1h", False),
    ],
)
def test_condition_compares_a_number(text: str, holds: bool) -> None:
    (condition,) = parse_conditions(text)

    assert condition.holds(numbers(scheduled=2, done=95, failed=5)) is holds


@pytest.mark.parametrize("text", ["failed", "fialed>0", "failed>x", "failed>1,x", "oldest_queued>soon"])
def test_senseless_condition_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_conditions(text)
