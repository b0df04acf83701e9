"""The monitor in a real terminal, over a real server that restarts, freezes and goes away."""

from __future__ import annotations

import base64
import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import aiohttp
import psycopg
import pytest
from private_server import PrivateServer, free_port, wait_for_listener
from tmux import Terminal
from waiting import until

from jobnb.db.schema import schema_sql

_numbers = itertools.count(1)
OpenTerminal = Callable[..., Terminal]
ADD = """
    INSERT INTO jobs (job_id, job_type, name, status, created_at, started_at, finished_at, duration_s)
    SELECT gen_random_uuid(), 'train', 'part ' || n, 'done', timezone('utc', now()) - n * interval '1 minute',
           timezone('utc', now()) - n * interval '1 minute', timezone('utc', now()), 3.5
    FROM generate_series(1, 60) n
"""
HOSTILE = (
    "job[/foo] [bold]x[/]", "\x1b]52;c;aGFja2Vk\x07gift", "\x1b[2J\x1b[Hgone", "abc\u202egnp", "z" + "\u0301" * 300,
    "y" * 10_000,
)  # fmt: skip


@pytest.fixture(scope="module")
def the_server() -> Iterator[PrivateServer]:
    server = PrivateServer()
    server.ask("CREATE DATABASE template_with_schema")
    server.ask(schema_sql(), "template_with_schema")
    yield server
    server.remove()


@pytest.fixture
def database(the_server: PrivateServer) -> Iterator[str]:
    """The name of a fresh database with 60 jobs, on a server that may be in any state at the end of a test."""
    name = f"terminal_{next(_numbers)}"
    the_server.ask(f"CREATE DATABASE {name} TEMPLATE template_with_schema")
    the_server.ask(ADD, name)
    yield name
    the_server.thaw()
    if the_server.pid is None:
        the_server.start()


@pytest.fixture
def open_terminal(the_server: PrivateServer, database: str, tmp_path: Path) -> Iterator[OpenTerminal]:
    """Opens the monitor in a terminal, over the database."""
    opened: list[Terminal] = []

    def start(*arguments: str, size: tuple[int, int] = (120, 30), **environment: str) -> Terminal:
        environment = {"DATABASE_URL": the_server.url(database), "JOBNB_HOME": str(tmp_path / "home"), **environment}
        opened.append(Terminal(list(arguments), tmp_path, size, **environment))
        return opened[-1]

    yield start
    for terminal in opened:
        terminal.close()


def change(server: PrivateServer, database: str, query: str, *values: object) -> None:
    with psycopg.connect(server.url(database), autocommit=True) as connection:
        connection.execute(query, values)  # type: ignore[call-overload]


def test_restarted_server_is_back_with_the_same_job_under_the_cursor(
    the_server: PrivateServer, database: str, open_terminal: OpenTerminal
) -> None:
    terminal = open_terminal()
    terminal.sees("60 jobs")
    terminal.press("j", "j", "j")
    terminal.sees("holding still")
    until(lambda: "part 4" in terminal.cursor_line(), 10)
    the_server.stop("immediate")
    terminal.sees("no database")
    terminal.press("j")
    until(lambda: "part 5" in terminal.cursor_line(), 10)
    the_server.start()
    change(the_server, database, "UPDATE jobs SET name = 'part 5, changed' WHERE name = 'part 5'")
    terminal.sees("part 5, changed")  # by itself
    terminal.sees_no("no database")
    assert "part 5, changed" in terminal.cursor_line()


def test_r_tries_at_once_and_q_leaves_while_the_server_is_away(
    the_server: PrivateServer, database: str, open_terminal: OpenTerminal
) -> None:
    terminal = open_terminal()
    terminal.sees("60 jobs")
    the_server.stop("immediate")
    terminal.sees("no database")
    terminal.press("R")
    terminal.press("c")
    terminal.sees("can't cancel while there is no database")
    terminal.press("q")
    terminal.sees("left with 0")


def test_frozen_server_never_hangs_the_keys_and_the_age_of_data_grows(
    the_server: PrivateServer, database: str, open_terminal: OpenTerminal
) -> None:
    terminal = open_terminal()
    terminal.sees("● live")
    the_server.freeze()
    terminal.sees(" s old")
    terminal.press("j", "j")
    until(lambda: "part 3" in terminal.cursor_line(), 10)
    terminal.press("?")
    terminal.sees("one row up")
    terminal.press("Escape")
    terminal.sees_no("one row up")
    the_server.thaw()
    terminal.sees("● live")
    the_server.freeze()
    terminal.press("q")
    terminal.sees("left with 0")


def test_hostile_texts_reach_no_terminal(the_server: PrivateServer, database: str, open_terminal: OpenTerminal) -> None:
    for text in HOSTILE:
        change(
            the_server, database,
            "INSERT INTO jobs (job_type, name, status, error_message, error_kind, traceback)"
            " VALUES (%s, %s, 'failed', %s, 'error', %s)",
            text[:50], text, text, text,
        )  # fmt: skip
    terminal = open_terminal(size=(160, 30))
    terminal.sees("66 jobs")
    terminal.sees("job[/foo] [bold]x[/]")
    terminal.press("Enter")
    for _ in HOSTILE:
        terminal.press("j")
        time.sleep(0.1)
    terminal.press("x")
    terminal.sees("Errors")
    terminal.press("q")
    terminal.sees("left with 0")
    sent = terminal.sent()
    assert b"\x1b]52" not in sent
    assert b"aGFja2Vk\x07" not in sent
    assert "\u202e".encode() not in sent
    assert "\u0301".encode() * 4 not in sent


def test_a_copy_is_sent_to_the_clipboard_and_to_a_file(open_terminal: OpenTerminal, tmp_path: Path) -> None:
    terminal = open_terminal()
    terminal.sees("60 jobs")
    terminal.press("y")
    terminal.sees("Python, for the notebook")
    terminal.press("p")
    terminal.sees("copied Python")
    copied = (tmp_path / "home" / "copied.txt").read_text()
    assert copied.startswith('jobnb.get("')
    until(lambda: b"\x1b]52;c;" + base64.b64encode(copied.encode()) in terminal.sent(), 10)
    terminal.press("q")
    terminal.sees("last copied:")


def test_a_live_resize_down_to_forty_columns(open_terminal: OpenTerminal) -> None:
    terminal = open_terminal(size=(180, 45), COLUMNS="180", LINES="45")  # as some shells export them
    terminal.sees("60 jobs")
    terminal.press("j", "Enter")
    terminal.sees("Traceback")
    for columns, lines in ((100, 30), (40, 12), (180, 45)):
        terminal.resize(columns, lines)
        terminal.until(lambda cells=columns, rows=lines: _fits(terminal.text(), cells, rows), f"{columns}x{lines}")
        assert "part 2" in terminal.cursor_line()


def _fits(text: str, columns: int, lines: int) -> bool:
    rows = text.splitlines()
    return len(rows) == lines and "● live" in rows[0] and "quit" in rows[-1] and len(rows[-1]) <= columns


@pytest.mark.parametrize("environment", [{"TERM": "dumb"}, {"NO_COLOR": "1"}, {"LC_ALL": "C"}, {"TERM": "vt100"}])
def test_poor_terminals_still_show_jobs(open_terminal: OpenTerminal, environment: dict[str, str]) -> None:
    terminal = open_terminal(size=(40, 12), **environment)
    terminal.sees("● live")
    terminal.sees("part 1 ")
    terminal.press("j")
    until(lambda: "part 2" in terminal.cursor_line(), 10)
    terminal.press("q")
    terminal.sees("left with 0")
    if "NO_COLOR" in environment:
        assert b"38;2;122;162;247" not in terminal.sent()


def test_a_wrong_keymap_is_said_before_the_screen_is_taken(open_terminal: OpenTerminal, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "monitor.toml").write_text('[keys]\n"job.cancle" = "X"\n')
    terminal = open_terminal()
    terminal.sees("did you mean 'job.cancel'?")
    terminal.sees("left with 2")


def serve(port: int, **environment: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "monitor", "--serve", str(port)], env={**os.environ, **environment},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def listeners(port: int) -> list[str]:
    """The addresses that somebody listens on with this port."""
    found = subprocess.run(["ss", "-ltnH", f"sport = :{port}"], capture_output=True, text=True, check=True)
    return [line.split()[3] for line in found.stdout.splitlines()]


async def test_serve_shows_the_monitor_in_a_browser_on_this_machine_only(
    the_server: PrivateServer, database: str, tmp_path: Path
) -> None:
    port = free_port()
    served = serve(port, DATABASE_URL=the_server.url(database), JOBNB_HOME=str(tmp_path))
    try:
        wait_for_listener(port)
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as browser:
            async with browser.get("/") as page:
                assert "jobnb monitor" in await page.text()
            async with browser.ws_connect("/ws?width=170&height=40") as tab:
                shown = b""
                while b"60 jobs" not in shown or b"read-only" not in shown:
                    message = await tab.receive(timeout=20)
                    shown += message.data if isinstance(message.data, bytes) else b""
        assert listeners(port) == [f"127.0.0.1:{port}"]
    finally:
        served.terminate()
        served.communicate(timeout=10)
