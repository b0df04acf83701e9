"""A server that tests may break, a proxy in front of it, and a database that writes down what happens in it."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import audit
import pytest
from chaos_proxy import ChaosProxy
from children import Child
from private_server import PrivateServer
from waiting import until

import jobnb
from jobnb.api import default_service
from jobnb.db.schema import schema_sql

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def the_private_server() -> Iterator[PrivateServer]:
    server = PrivateServer()
    server.ask("CREATE DATABASE audited")
    server.ask(schema_sql(), "audited")
    audit.install(server.url("audited"))
    yield server
    server.remove()


@pytest.fixture
def private_server(the_private_server: PrivateServer) -> Iterator[PrivateServer]:
    """A server that runs at the beginning of a test and may be in any state at its end."""
    yield the_private_server
    the_private_server.thaw()
    if the_private_server.pid is None:
        the_private_server.start()
    until(the_private_server.answers)


@pytest.fixture
def audited(private_server: PrivateServer) -> Iterator[str]:
    """The name of a fresh database with jobnb's tables and the audit trigger."""
    name = f"audited_{next(_numbers)}"
    private_server.ask(f"CREATE DATABASE {name} TEMPLATE audited")
    yield name
    private_server.thaw()
    if private_server.pid is None:
        private_server.start()
    private_server.ask(f"ALTER DATABASE {name} RESET ALL")
    private_server.ask(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def direct_url(private_server: PrivateServer, audited: str) -> str:
    """The URL of that database, past the proxy."""
    return private_server.url(audited)


@pytest.fixture
def child(tmp_path: Path) -> Iterator[Callable[..., Child]]:
    """Starts processes: a script, and variables of its environment."""
    started: list[Child] = []

    def start(script: str, **variables: str) -> Child:
        started.append(Child(tmp_path / f"child-{len(started)}", script, **variables))
        return started[-1]

    yield start
    for one in started:
        one.clean_up()


@pytest.fixture
def connected(home: Path, direct_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """jobnb's own functions, pointed at the audited database, but not used yet; gives its URL."""
    monkeypatch.setenv("DATABASE_URL", direct_url)
    monkeypatch.delitem(sys.__dict__, "_jobnb_default_service", raising=False)
    jobnb.configure()
    return direct_url


@pytest.fixture
def proxy(private_server: PrivateServer) -> Iterator[ChaosProxy]:
    """A network between jobnb and the server."""
    proxy = ChaosProxy(("127.0.0.1", private_server.port))
    yield proxy
    proxy.stop()


@pytest.fixture
def through_proxy(
    home: Path, private_server: PrivateServer, audited: str, proxy: ChaosProxy, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """jobnb's own functions, connected through the proxy; gives the URL past it."""
    monkeypatch.setenv("DATABASE_URL", private_server.url(audited, port=proxy.port))
    monkeypatch.delitem(sys.__dict__, "_jobnb_default_service", raising=False)
    jobnb.configure()
    default_service().runtime.open()
    yield private_server.url(audited)
    for runtime in list(sys.__dict__.get("_jobnb_runtimes", {}).values()):
        runtime.close(2.0)
