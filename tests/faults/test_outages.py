"""Whatever happens to the server or to the way there: every accepted job has its true row, and no job waits for it."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator

import audit
import psycopg
import pytest
from chaos_proxy import ChaosProxy, Mode
from load import Load
from private_server import PrivateServer

LASTS = 2.0
"""Seconds of an outage that has a length."""
LONGEST_WAIT = 0.05
"""Seconds that a job may wait for jobnb."""

Fault = Callable[[PrivateServer, ChaosProxy, str], "contextlib.AbstractContextManager[None]"]


@contextlib.contextmanager
def restart_immediate(server: PrivateServer, proxy: ChaosProxy, database: str) -> Iterator[None]:
    server.restart("immediate")
    yield


@contextlib.contextmanager
def restart_fast(server: PrivateServer, proxy: ChaosProxy, database: str) -> Iterator[None]:
    server.restart("fast")
    yield


@contextlib.contextmanager
def backends_terminated(server: PrivateServer, proxy: ChaosProxy, database: str) -> Iterator[None]:
    for _ in range(8):
        server.terminate_backends()
        time.sleep(0.05)
    yield


@contextlib.contextmanager
def down(server: PrivateServer, proxy: ChaosProxy, database: str) -> Iterator[None]:
    server.stop("immediate")
    time.sleep(LASTS)
    server.start()
    yield


@contextlib.contextmanager
def frozen(server: PrivateServer, proxy: ChaosProxy, database: str) -> Iterator[None]:
    server.freeze()
    time.sleep(LASTS)
    server.thaw()
    yield


@contextlib.contextmanager
def postmaster_frozen(server: PrivateServer, proxy: ChaosProxy, database: str) -> Iterator[None]:
    server.freeze_postmaster()
    proxy.cut()
    time.sleep(LASTS)
    server.thaw()
    yield


@contextlib.contextmanager
def black_hole(server: PrivateServer, proxy: ChaosProxy, database: str) -> Iterator[None]:
    proxy.mode = Mode.BLACK_HOLE
    time.sleep(LASTS)
    proxy.mode = Mode.PASS
    yield


@contextlib.contextmanager
def black_hole_then_reset(server: PrivateServer, proxy: ChaosProxy, database: str) -> Iterator[None]:
    proxy.mode = Mode.BLACK_HOLE
    time.sleep(LASTS)
    proxy.cut()
    proxy.mode = Mode.PASS
    yield


@contextlib.contextmanager
def refused(server: PrivateServer, proxy: ChaosProxy, database: str) -> Iterator[None]:
    proxy.mode = Mode.REFUSE
    proxy.cut()
    time.sleep(LASTS)
    proxy.mode = Mode.PASS
    yield


@contextlib.contextmanager
def reset(server: PrivateServer, proxy: ChaosProxy, database: str) -> Iterator[None]:
    proxy.mode = Mode.RESET
    proxy.cut()
    time.sleep(LASTS)
    proxy.mode = Mode.PASS
    yield


@contextlib.contextmanager
def cut_again_and_again(server: PrivateServer, proxy: ChaosProxy, database: str) -> Iterator[None]:
    for _ in range(40):
        proxy.cut()
        time.sleep(LASTS / 40)
    yield


@contextlib.contextmanager
def slow_and_lossy(server: PrivateServer, proxy: ChaosProxy, database: str) -> Iterator[None]:
    proxy.latency, proxy.stalls = 0.1, 0.1
    time.sleep(LASTS)
    proxy.latency = proxy.stalls = 0.0
    yield


@contextlib.contextmanager
def no_connection_left(server: PrivateServer, proxy: ChaosProxy, database: str) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(psycopg.OperationalError):
            while True:
                stack.enter_context(psycopg.connect(server.url()))
        proxy.cut()
        # the places of the cut connections are taken too
        ends = time.monotonic() + LASTS
        while time.monotonic() < ends:
            with contextlib.suppress(psycopg.OperationalError):
                stack.enter_context(psycopg.connect(server.url()))
            time.sleep(0.02)
    yield


@contextlib.contextmanager
def read_only(server: PrivateServer, proxy: ChaosProxy, database: str) -> Iterator[None]:
    server.ask(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    server.terminate_backends()
    time.sleep(LASTS)
    # as after a failover: the connections made meanwhile stay on the server that only reads
    server.ask(f"ALTER DATABASE {database} RESET default_transaction_read_only")
    yield


FAULTS: list[Fault] = [
    restart_immediate, restart_fast, backends_terminated, down, frozen, postmaster_frozen, black_hole,
    black_hole_then_reset, refused, reset, cut_again_and_again, slow_and_lossy, no_connection_left, read_only,
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_no_row_is_lost_or_wrong_and_no_job_waits(
    fault: Fault, through_proxy: str, private_server: PrivateServer, proxy: ChaosProxy, audited: str,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    load = Load(300).start()
    load.wait_for(60)
    with caplog.at_level(logging.WARNING, "jobnb"), fault(private_server, proxy, audited):
        load.finish()
    report = audit.report(through_proxy)
    assert report.is_clean, report
    assert (report.rows, report.done) == (300, 300), report
    with psycopg.connect(through_proxy) as connection:
        values = connection.execute("SELECT name, (result->>'result')::int FROM jobs").fetchall()
    assert dict(values) == {f"job {number}": load.value(number) for number in range(300)}
    assert (load.longest_submit, load.longest_end) < (LONGEST_WAIT * 4, LONGEST_WAIT * 4)
    assert len(caplog.records) <= 2, caplog.text
