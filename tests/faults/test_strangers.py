"""Other people: another user of the same computer, and texts of jobs that are meant to do harm."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import psycopg
import pytest
from children import CHECKOUT, Child
from private_server import PrivateServer, children_of

import jobnb
from jobnb.api import default_service
from jobnb.db.embedded import EmbeddedServer
from jobnb.db.urls import normalize

PASSWORD = "s3cret-of-alice"

# -- another user


@pytest.fixture
def open_home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A JOBNB_HOME in a folder that every user of this computer can enter, used by a job already."""
    folder = Path(tempfile.mkdtemp(prefix="jobnb-open-"))
    folder.chmod(0o755)
    home = folder / "home"
    monkeypatch.setenv("JOBNB_HOME", str(home))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.chdir(folder)
    monkeypatch.delitem(sys.__dict__, "_jobnb_default_service", raising=False)
    previous = os.umask(0o002)  # as generous as they come
    jobnb.configure()
    jobnb.submit(print, "private").result()
    default_service().runtime.recorder.settle(60)
    yield home
    os.umask(previous)
    data = EmbeddedServer(home).status().data
    for runtime in list(sys.__dict__.get("_jobnb_runtimes", {}).values()):
        runtime.close(2.0)
    shutil.rmtree(data.parent, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def as_a_stranger(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a user who has nothing to do with us."""
    return subprocess.run(
        command, capture_output=True, text=True, timeout=30, cwd="/", user=65534, group=65534, extra_groups=[],
        check=False,
    )  # fmt: skip


def everything_in(folder: Path) -> list[Path]:
    return [folder, *folder.rglob("*")]


def test_nobody_else_may_enter_home_or_read_what_is_in_it(open_home: Path) -> None:
    for path in everything_in(open_home):
        if not path.is_symlink() and path.parent.name != "run":
            allowed = 0o711 if path.name == "postgres" else 0o700
            assert path.stat().st_mode & 0o777 & ~allowed == 0, path
    assert open_home.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can try as another user; the test above looks at the modes")
def test_another_user_reaches_neither_files_nor_spool_nor_server(open_home: Path) -> None:
    data = EmbeddedServer(open_home).status().data
    socket = default_service().runtime.database.embedded.conninfo()["host"]  # type: ignore[union-attr]
    for path in (open_home, open_home / "spool", open_home / "kernels", data, data.parent, Path(socket)):
        assert "Permission denied" in as_a_stranger("ls", str(path)).stderr, path
    for path in (*open_home.glob("spool/*/*"), *open_home.glob("kernels/*"), data / "PG_VERSION"):
        assert "Permission denied" in as_a_stranger("cat", str(path)).stderr, path
    assert as_a_stranger("test", "-e", f"{socket}/.s.PGSQL.5432").returncode == 1  # can't even see it
    assert Path(socket, ".s.PGSQL.5432").exists()
    with psycopg.connect(**default_service().runtime.database.embedded.conninfo()) as connection:  # type: ignore[union-attr]
        addresses = connection.execute("SELECT current_setting('listen_addresses')").fetchone()
    assert addresses == ("",)


# -- passwords


@pytest.fixture
def secret_url(private_server: PrivateServer, audited: str) -> str:
    """The audited database by a URL with a password, which the server does not ask for."""
    return private_server.url(audited, password=PASSWORD)


SCRIPT = """
import sys, logging, jobnb
logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
job = jobnb.submit(int, "x", retries=1)
job.exception()
print(repr(jobnb.api.default_service()), repr(jobnb.api.default_service().settings), job, flush=True)
sys.stdin.readline()
"""


def test_no_password_is_in_files_logs_or_the_list_of_processes(secret_url: str, home: Path, tmp_path: Path) -> None:
    child = Child(
        tmp_path / "child", SCRIPT.replace("sys, ", "sys, jobnb.api, "), JOBNB_HOME=str(home), DATABASE_URL=secret_url
    )
    try:
        shown = child.line()
        family = [child.process.pid, *children_of(child.process.pid)]
        commands = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in family]
        child.tell()
        child.process.wait(20)
        written = [path.read_bytes() for path in (*everything_in(home), child.errors) if path.is_file()]
    finally:
        child.clean_up()
    assert PASSWORD not in shown
    assert not [text for text in commands + written if PASSWORD.encode() in text]


def test_no_password_is_in_what_is_said_of_a_server_that_is_away(
    secret_url: str, private_server: PrivateServer, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    private_server.stop("immediate")
    jobnb.configure(database_url=secret_url)
    with caplog.at_level(logging.DEBUG), pytest.raises(jobnb.DatabaseUnavailable) as caught:
        jobnb.submit(int)
    told = "".join(traceback.format_exception(caught.value))
    frames = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    ours = [frame for frame in frames.stack if Path(frame.filename).is_relative_to(Path(jobnb.__file__).parent)]
    assert ours
    for frame in ours:
        assert PASSWORD not in str(frame.locals), frame
    assert PASSWORD not in told + caplog.text


@pytest.mark.parametrize("command", [["list"], ["doctor"], ["doctor", "--json"], ["url"], ["show", "12345678"]])
def test_no_password_is_in_what_the_command_line_says(command: list[str], secret_url: str, home: Path) -> None:
    for url in (secret_url, secret_url.replace("/audited", "/nothing")):
        done = subprocess.run(
            [sys.executable, "-m", "jobnb", *command], capture_output=True, text=True, cwd=CHECKOUT, check=False,
            env={**os.environ, "DATABASE_URL": url, "JOBNB_HOME": str(home)},
        )  # fmt: skip
        assert done.stdout + done.stderr
        assert PASSWORD not in done.stdout + done.stderr


def test_what_is_handed_to_the_driver_does_not_show_its_password(secret_url: str) -> None:
    parts = normalize(secret_url).conninfo()
    assert parts["password"] == PASSWORD
    assert PASSWORD not in f"{parts}{parts['password']!r}"


# -- texts that are meant to do harm

HARMFUL = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg/onload=alert(1)>',
    "' onmouseover='alert(1)",
    "</table></div><iframe src='javascript:alert(1)'>",
    "&lt;script&gt;",
    "[x](javascript:alert(1))",
    "\x1b[31mred\x1b]0;title\x07",
    "a\x00b\u202ereversed",
    "{{7*7}}${7*7}",
]


class Tags(HTMLParser):
    """What a browser would see: the tags, and their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: set[tuple[str, str]] = set()
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {(name, value or "") for name, value in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


def assert_inert(shown: str) -> None:
    page = Tags(shown)
    assert not page.tags & {"script", "img", "svg", "iframe", "object", "embed", "link", "meta", "base", "form"}
    for name, value in page.attributes:
        assert not name.startswith("on"), (name, value)
        if name == "title":
            continue  # shown as it is
        assert "javascript:" not in value.lower(), (name, value)
        assert "alert" not in value, (name, value)


@pytest.mark.parametrize("text", HARMFUL)
def test_texts_of_jobs_are_inert_in_a_notebook(text: str, connected: str) -> None:
    clean = text.replace("\x00", "")

    def harm() -> None:
        jobnb.progress(0.5, text)
        print(text)
        raise RuntimeError(text)

    job = jobnb.submit(harm, job_type=clean[:50], name=clean)
    job.exception(10)
    stored = jobnb.get(str(job.job_id))
    group = jobnb.map(harm.__call__, [], job_type=clean[:50])
    for shown in (job, stored, jobnb.jobs(), group):
        assert_inert(shown._repr_html_() or "")
    assert "\x1b" not in repr(job)
