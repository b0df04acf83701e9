"""The link to a real server that restarts, freezes, refuses, is a standby, or has a pooler in front of it."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pooler
import psycopg
import pytest
from pooler import Pooler
from private_server import PrivateServer
from waiting import in_time, not_slow, until

from jobnb.db.schema import VERSION, schema_sql
from jobnb.errors import DatabaseUnavailable, InvalidInput, JobnbError, PermissionDenied, SchemaMismatch
from jobnb.settings import Settings
from monitor import link
from monitor.filters import parse
from monitor.model import EVERYTHING, Action, LinkStatus, Target, View
from monitor.postgres import PostgresSource

_numbers = itertools.count(1)
ADD = "INSERT INTO jobs (job_type, status) SELECT 'train', 'scheduled' FROM generate_series(1, {})"
OpenSource = Callable[..., PostgresSource]


@pytest.fixture(scope="module")
def the_server() -> Iterator[PrivateServer]:
    server = PrivateServer()
    server.ask("CREATE DATABASE template_with_schema")
    server.ask(schema_sql(), "template_with_schema")
    yield server
    server.remove()


@pytest.fixture
def breakable(the_server: PrivateServer) -> Iterator[PrivateServer]:
    """A server that runs at the beginning of a test and may be in any state at its end."""
    yield the_server
    the_server.thaw()
    if the_server.pid is None:
        the_server.start()


@pytest.fixture
def name(breakable: PrivateServer) -> str:
    """The name of a fresh database with 30 jobs."""
    name = f"monitor_{next(_numbers)}"
    breakable.ask(f"CREATE DATABASE {name} TEMPLATE template_with_schema")
    breakable.ask(ADD.format(30), name)
    return name


@pytest.fixture
def open_source(home: Path) -> Iterator[OpenSource]:
    """Opens the real source on a URL."""
    opened: list[PostgresSource] = []

    def start(url: str, **how: Any) -> PostgresSource:
        opened.append(PostgresSource(Settings.load(database_url=url), **how))
        return opened[-1]

    yield start
    for source in opened:
        source.close()


def reads(source: PostgresSource) -> bool:
    """Whether a page can be read now."""
    try:
        return len(source.window(View(), 0, 10).rows) == 10
    except DatabaseUnavailable:
        return False


@pytest.mark.parametrize("how", ["fast", "immediate"])
def test_restarted_server_is_back_with_the_same_rows(
    breakable: PrivateServer, name: str, open_source: OpenSource, how: str
) -> None:
    source = open_source(breakable.url(name))
    before = source.window(View(), 5, 10)

    breakable.stop(how)
    with pytest.raises(DatabaseUnavailable):
        source.window(View(), 5, 10)
    away = source.link()
    assert (away.status, away.message != "", away.age is not None) == (LinkStatus.DOWN, True, True)
    breakable.start()
    began = time.monotonic()
    until(lambda: reads(source))

    in_time(began, 1.5)
    assert source.window(View(), 5, 10).rows == before.rows
    assert source.link().status == LinkStatus.UP


def test_server_that_stays_away_is_not_asked_before_the_next_attempt_is_due(
    breakable: PrivateServer, name: str, open_source: OpenSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = open_source(breakable.url(name))
    assert reads(source)
    breakable.stop()
    monkeypatch.setattr(link, "FIRST_PAUSE", 60.0)
    monkeypatch.setattr(link, "LONGEST_PAUSE", 60.0)
    assert not reads(source)

    began = time.monotonic()
    for _ in range(100):
        assert not reads(source)
    in_time(began, 0.5)
    assert 40 < (source.link().retry_in or 0) < 80
    breakable.start()
    assert not reads(source)
    source.reconnect()
    assert reads(source)


def test_pauses_between_attempts_grow_to_a_limit(
    breakable: PrivateServer, name: str, open_source: OpenSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = open_source(breakable.url(name))
    breakable.stop()
    pauses = []
    for _ in range(9):
        source.reconnect()
        assert not reads(source)
        pauses.append(source.link().retry_in or 0.0)

    assert pauses[0] < 0.15
    assert pauses[3] > 3 * pauses[0]
    assert 0.7 * link.LONGEST_PAUSE <= pauses[-1] <= 1.2 * link.LONGEST_PAUSE


def test_connection_that_the_server_ended_is_replaced_without_a_word(
    breakable: PrivateServer, name: str, open_source: OpenSource
) -> None:
    source = open_source(breakable.url(name))
    assert reads(source)

    assert breakable.terminate_backends() > 0

    assert reads(source)
    assert source.link().status == LinkStatus.UP


def test_frozen_server_costs_a_deadline_and_shows_the_age_of_the_data(
    breakable: PrivateServer, name: str, open_source: OpenSource
) -> None:
    source = open_source(breakable.url(name))
    assert reads(source)
    breakable.freeze()
    errors: list[JobnbError] = []
    began = time.monotonic()

    def look() -> None:
        try:
            source.window(View(), 0, 10)
        except JobnbError as error:
            errors.append(error)

    thread = threading.Thread(target=look)
    thread.start()
    until(lambda: source.link().status == LinkStatus.SLOW, 5)
    assert (source.link().age or 0) > 0.9
    thread.join(20)

    assert isinstance(errors[0], DatabaseUnavailable)
    in_time(began, 10)
    assert source.link().status == LinkStatus.DOWN
    breakable.thaw()
    source.reconnect()
    until(lambda: reads(source))


def test_age_of_the_data_counts_from_the_last_read(
    breakable: PrivateServer, name: str, open_source: OpenSource
) -> None:
    source = open_source(breakable.url(name))
    assert source.link().age is None
    assert source.link().status == LinkStatus.CONNECTING
    assert reads(source)
    first = source.link().age
    breakable.stop()
    assert not reads(source)
    until(lambda: (source.link().age or 0) > 0.3)

    assert first is not None
    not_slow(first, 0.3)


def test_database_without_tables_is_explained_and_left_alone(breakable: PrivateServer, open_source: OpenSource) -> None:
    name = f"empty_{next(_numbers)}"
    breakable.ask(f"CREATE DATABASE {name}")
    source = open_source(breakable.url(name))

    with pytest.raises(SchemaMismatch, match="jobnb init-db"):
        source.window(View(), 0, 10)

    assert source.link().status == LinkStatus.REFUSED
    assert breakable.ask("SELECT to_regclass('jobs')", name) is None
    breakable.ask(schema_sql(), name)
    breakable.ask(ADD.format(10), name)
    source.reconnect()
    assert reads(source)


def test_tables_of_a_newer_jobnb_are_explained(breakable: PrivateServer, name: str, open_source: OpenSource) -> None:
    breakable.ask(f"UPDATE jobnb_schema SET version = {VERSION + 1}", name)
    source = open_source(breakable.url(name))

    with pytest.raises(SchemaMismatch, match="pip install -U jobnb"):
        source.overview()
    assert source.link().status == LinkStatus.REFUSED


def test_tables_that_vanish_are_explained(breakable: PrivateServer, name: str, open_source: OpenSource) -> None:
    source = open_source(breakable.url(name))
    assert reads(source)
    breakable.ask("DROP TABLE jobs CASCADE", name)

    with pytest.raises(SchemaMismatch):
        source.window(View(), 0, 10)
    assert source.link().status == LinkStatus.REFUSED


def test_database_that_is_not_there_is_refused(breakable: PrivateServer, open_source: OpenSource) -> None:
    source = open_source(breakable.url("nowhere"))

    with pytest.raises(DatabaseUnavailable, match="nowhere"):
        source.overview()
    assert source.link().status == LinkStatus.REFUSED


def test_role_that_may_only_read_sees_everything_and_is_told_what_it_lacks(
    breakable: PrivateServer, name: str, open_source: OpenSource
) -> None:
    breakable.ask(f"CREATE ROLE watcher_{name} LOGIN")
    for table in ("jobs", "jobnb_kernels", "job_logs", "job_values", "jobnb_schema"):
        breakable.ask(f"GRANT SELECT ON {table} TO watcher_{name}", name)
    source = open_source(breakable.url(name, user=f"watcher_{name}"))

    assert reads(source)
    assert source.overview().total.value == 30
    row = source.window(View(), 0, 1).rows[0]
    assert source.detail(row.job_id) is not None
    for action in Action:
        plan = source.plan(action, Target((row.job_id,)))
        assert plan.refused is not None
        assert "lacks UPDATE, INSERT, DELETE on the table jobs" in plan.refused
        with pytest.raises(InvalidInput, match="GRANT"):
            source.execute(plan)


def test_role_without_any_right_is_refused(breakable: PrivateServer, name: str, open_source: OpenSource) -> None:
    breakable.ask(f"CREATE ROLE nobody_{name} LOGIN")
    source = open_source(breakable.url(name, user=f"nobody_{name}"))

    with pytest.raises(PermissionDenied, match="GRANT"):
        source.overview()
    assert source.link().status == LinkStatus.REFUSED


def test_right_that_is_lost_on_the_way_is_told_and_the_link_stays(
    breakable: PrivateServer, name: str, open_source: OpenSource
) -> None:
    role = f"worker_{name}"
    breakable.ask(f"CREATE ROLE {role} LOGIN")
    breakable.ask(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}", name)
    source = open_source(breakable.url(name, user=role))
    plan = source.plan(Action.CANCEL, Target(filter=EVERYTHING))
    breakable.ask(f"REVOKE UPDATE ON jobs FROM {role}", name)

    with pytest.raises(PermissionDenied):
        source.execute(plan)
    assert source.link().status == LinkStatus.UP


def test_hot_standby_is_shown_and_changes_nothing(breakable: PrivateServer, name: str, open_source: OpenSource) -> None:
    breakable.stop()
    signal = breakable.data / "standby.signal"
    signal.touch()
    breakable.account.give(signal)
    try:
        breakable.start()
        source = open_source(breakable.url(name))

        assert reads(source)
        assert source.overview().total.value == 30
        assert source.link().server.is_standby
        plan = source.plan(Action.CANCEL, Target(filter=EVERYTHING))
        assert plan.refused is not None
        assert "standby" in plan.refused
    finally:
        breakable.stop()
        signal.unlink()


@pytest.fixture
def behind_pooler(breakable: PrivateServer) -> Iterator[Pooler]:
    pooler.need(pooler.PROGRAM, "pgbouncer")
    started = Pooler(f"host=127.0.0.1 port={breakable.port}", PrivateServer.USER, pool_size=2)
    yield started
    started.stop()


def test_everything_works_behind_a_pooler_in_transaction_mode(
    behind_pooler: Pooler, name: str, open_source: OpenSource, breakable: PrivateServer
) -> None:
    source = open_source(behind_pooler.url(name))

    for text in ("", "state:queued", "train", "took:>1s"):
        view = View(parse(text))
        while not source.survey(view).complete:
            pass
        assert len(source.window(view, 0, 50).rows) == (0 if "took" in text else 30)
    assert source.overview().counts["scheduled"] == (30, True)
    assert source.errors().groups == ()
    assert len(source.types().types) == 1
    outcome = source.execute(source.plan(Action.CANCEL, Target(filter=EVERYTHING)))
    assert outcome.changed == 30
    assert source.link().server.has_pooler
    assert source.window(View(), 0, 1).rows[0].state == "cancelled"


def test_monitor_leaves_no_setting_behind_in_a_pooled_session(
    behind_pooler: Pooler, name: str, open_source: OpenSource
) -> None:
    # the pooler itself sets each client's application_name
    question = "SELECT name, setting FROM pg_settings WHERE source = 'session' AND name <> 'application_name'"
    with psycopg.connect(behind_pooler.url(name), autocommit=True, prepare_threshold=None) as connection:
        before = connection.execute(question).fetchall()
        source = open_source(behind_pooler.url(name))
        source.overview()
        source.window(View(parse("train")), 0, 10)
        for _ in range(5):
            assert connection.execute(question).fetchall() == before


def test_direct_connection_is_not_taken_for_a_pooled_one(
    breakable: PrivateServer, name: str, open_source: OpenSource
) -> None:
    source = open_source(breakable.url(name))
    assert reads(source)
    server = source.link().server

    assert (server.has_pooler, server.is_standby, server.is_embedded) == (False, False, False)
    assert server.version.split(".")[0].isdigit()
    assert (server.database, server.role) == (name, PrivateServer.USER)


def test_password_is_never_shown(breakable: PrivateServer, name: str, open_source: OpenSource) -> None:
    source = open_source(breakable.url(name, password="s3cret"))
    reads(source)
    breakable.stop()
    assert not reads(source)

    assert "s3cret" not in str(source.link())
