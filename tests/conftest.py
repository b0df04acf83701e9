"""One embedded server for the whole run, one database for each test, and jobnb pointed at it."""

from __future__ import annotations

import itertools
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from databases import make_url
from pooler import Pooler

import jobnb
from jobnb.db.embedded import EmbeddedServer
from jobnb.db.schema import schema_sql
from jobnb.db.urls import normalize
from jobnb.settings import Settings

_numbers = itertools.count(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--behind-pooler", action="store_true", help="connect jobnb through PgBouncer in transaction mode")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """A real PostgreSQL for the run, with a template database that has run schema.sql."""
    embedded = EmbeddedServer(tmp_path_factory.mktemp("server") / "home")
    embedded.ensure_running()
    with psycopg.connect(**embedded.conninfo(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE template_with_schema")
    with psycopg.connect(**{**embedded.conninfo(), "dbname": "template_with_schema"}) as connection:
        connection.execute(schema_sql())  # type: ignore[arg-type]
    yield embedded
    data = embedded.status().data
    embedded.release()
    shutil.rmtree(data.parent, ignore_errors=True)


@pytest.fixture
def empty_url(server: EmbeddedServer) -> Iterator[str]:
    """The URL of a database with nothing in it."""
    yield from _database(server, "template0")


@pytest.fixture
def database_url(server: EmbeddedServer) -> Iterator[str]:
    """The URL of a fresh database that has run schema.sql."""
    yield from _database(server, "template_with_schema")


def _database(server: EmbeddedServer, template: str) -> Iterator[str]:
    name = f"test_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(**server.conninfo(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")  # type: ignore[arg-type]
        yield make_url(server, name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[arg-type]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A JOBNB_HOME of the test's own, and a working directory without a .env file."""
    monkeypatch.setenv("JOBNB_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.fixture(scope="session")
def pooler(request: pytest.FixtureRequest, server: EmbeddedServer) -> Iterator[Pooler | None]:
    """PgBouncer in front of the server, if the run is to go through it."""
    if not request.config.getoption("--behind-pooler"):
        yield None
        return
    pooler = Pooler(f"host={server.conninfo()['host']}", server.conninfo()["user"])
    yield pooler
    pooler.stop()


@pytest.fixture
def jobnb_url(database_url: str, pooler: Pooler | None) -> str:
    """How jobnb connects to that database: directly, or through the pooler."""
    return database_url if pooler is None else pooler.url(normalize(database_url).database)


@pytest.fixture
def settings(home: Path, jobnb_url: str) -> Settings:
    return Settings.load(database_url=jobnb_url)


@pytest.fixture
def client(home: Path, database_url: str, jobnb_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """jobnb's own functions, pointed at a fresh database; gives its URL."""
    monkeypatch.setenv("DATABASE_URL", jobnb_url)
    monkeypatch.delitem(sys.__dict__, "_jobnb_default_service", raising=False)
    jobnb.configure()
    yield database_url
    close_runtimes()


def close_runtimes() -> None:
    """End everything that a test left running in this process."""
    for runtime in list(sys.__dict__.get("_jobnb_runtimes", {}).values()):
        runtime.close(2.0)
    sys.__dict__.pop("_jobnb_default_service", None)


@pytest.fixture(autouse=True)
def _close_runtimes() -> Iterator[None]:
    yield
    close_runtimes()
