"""The monitor in scripts: what it writes where, how it ends, and that no text of a job does anything to a terminal."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from private_server import PrivateServer
from waiting import until

import jobnb
from jobnb.db.schema import schema_sql
from monitor import follow
from monitor.__main__ import run
from monitor.formats import JOB_FIELDS, as_csv, as_json, as_table_line
from monitor.terminal import safe_line, safe_lines

AddJobs = Callable[..., list[UUID]]
Sql = psycopg.Connection[Any]
CHECKOUT = Path(jobnb.__file__).parents[1]

HOSTILE = {
    "markup": "job[/foo][bold]",
    "clipboard": "a\x1b]52;c;aGFoYQ==\x07b",
    "clear": "a\x1b[2J\x1b[Hb",
    "c1": "a\x9b2Jb\x9d52;c;x\x9cc",
    "newlines": "two\r\nlines\x0b\x0c\x85\u2028end",
    "backspace": "safe\x08\x08\x08\x08evil",
    "right-to-left": "abc\u202egnp.exe\u2066x\u200f",
    "marks": "z" + "\u0301\u0489\u20dd" * 300,
    "long": "x" * 10_000,
    "invisible": "a\u200b\u2060\ufeff\u00ad\u115f\u3164b\U000e0041",
    "wide": "表" * 200,
}
# anything that a terminal acts on, reorders or hides
ACTING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u115f\u1160\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\U000e0000-\U000e007f]"
)


@pytest.fixture
def monitor(database_url: str, home: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs the monitor in this process; gives its exit code, what it wrote, and what it said."""

    def call(*arguments: str) -> tuple[int, str, str]:
        try:
            code = run(["--database-url", database_url, *arguments])
        except SystemExit as end:
            code = int(end.code or 0)
        written = capsys.readouterr()
        return code, written.out, written.err

    return call


Monitor = Callable[..., tuple[int, str, str]]


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_without_a_terminal_it_writes_once(monitor: Monitor, add_jobs: AddJobs) -> None:
    (job_id,) = add_jobs(1, name="learn", error_message=None)

    code, out, err = monitor()

    assert (code, err) == (0, "")
    head, row = out.splitlines()
    assert head.split()[:4] == ["state", "id", "type", "name"]
    assert "✓ done" in row
    assert job_id.hex[-8:] in row
    assert "learn" in row


def test_json_is_one_object_a_line_with_the_fields_that_are_promised(monitor: Monitor, add_jobs: AddJobs) -> None:
    ids = add_jobs(3, name="é", progress=0.25, status="in_progress")

    code, out, _ = monitor("--json")

    found = lines(out)
    assert code == 0
    assert [one["job_id"] for one in found] == [str(job_id) for job_id in ids[::-1]]
    assert tuple(found[0]) == JOB_FIELDS
    assert (found[0]["state"], found[0]["name"], found[0]["progress"]) == ("in_progress", "é", 0.25)
    assert found[0]["created_at"].endswith("Z")


def test_csv_has_a_header_and_the_same_fields(monitor: Monitor, add_jobs: AddJobs) -> None:
    add_jobs(2, name='say "hi", now')

    _, out, _ = monitor("--csv")

    rows = list(csv.DictReader(io.StringIO(out)))
    assert tuple(rows[0]) == JOB_FIELDS
    assert [row["name"] for row in rows] == ['say "hi", now'] * 2


def test_truncation_is_never_silent(monitor: Monitor, add_jobs: AddJobs) -> None:
    add_jobs(120)

    for arguments, written, is_told in (
        ((), 50, True),
        (("--limit", "7"), 7, True),
        (("--limit", "120"), 120, False),
        (("--limit", "all"), 120, False),
        (("-q", "type:train", "--limit", "5"), 5, True),
        (("-q", "train", "--limit", "5"), 5, True),
        (("--sort", "took", "--limit", "5"), 5, True),
        (("--limit", "0"), 0, True),
    ):
        code, out, err = monitor("--json", *arguments)
        assert (code, len(out.splitlines()), "--limit all" in err) == (0, written, is_told), arguments
    assert monitor("--json", "--limit", "7", "--quiet")[2] == ""


def test_all_jobs_of_many_pages_are_written_once_each(monitor: Monitor, add_jobs: AddJobs, sql: Sql) -> None:
    add_jobs(1_250, name="x")
    sql.execute("UPDATE jobs SET created_at = NULL WHERE job_id IN (SELECT job_id FROM jobs LIMIT 700)")

    for arguments in ((), ("-q", "state:done"), ("-q", "name:x")):
        _, out, _ = monitor("--json", "--limit", "all", *arguments)
        assert len({one["job_id"] for one in lines(out)}) == len(out.splitlines()) == 1_250


def test_filter_and_order_apply(monitor: Monitor, add_jobs: AddJobs) -> None:
    slow, quick = add_jobs(1, duration_s=9.0)[0], add_jobs(1, duration_s=1.0)[0]
    add_jobs(1, job_type="etl")

    _, by_time, _ = monitor("--json", "-q", "type:train", "--sort", "took")
    _, turned, _ = monitor("--json", "-q", "type:train", "--sort", "took:asc")

    assert [one["job_id"] for one in lines(by_time)] == [str(slow), str(quick)]
    assert [one["job_id"] for one in lines(turned)] == [str(quick), str(slow)]


def test_no_jobs_is_said_aside(monitor: Monitor) -> None:
    assert monitor("--json") == (0, "", "monitor: no jobs\n")
    assert monitor("-q", "state:failed")[2] == "monitor: no jobs for 'state:failed'\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("-q", "stauts:failed"), "did you mean 'status'"),
        (("--fail-if", "fialed>0"), "did you mean 'failed'"),
        (("--sort", "speed"), "no order 'speed'"),
        (("--limit", "many"), "write 100, or all"),
        (("--refresh", "often"), "no length of time"),
        (("--wrong",), "unrecognized arguments"),
        (("--once", "--databse-url", "x"), "unrecognized arguments"),
    ],
)
def test_wrong_call_is_refused_with_2(monitor: Monitor, arguments: tuple[str, ...], words: str) -> None:
    code, out, err = monitor(*arguments)

    assert (code, out) == (2, "")
    assert words in err


def test_wrong_word_of_a_filter_is_pointed_at(monitor: Monitor) -> None:
    _, _, err = monitor("-q", "type:a stauts:failed")

    assert err.endswith("    type:a stauts:failed\n           ^^^^^^^^^^^^^\n")


def test_fail_if_answers_by_the_exit_code_and_writes_nothing(monitor: Monitor, add_jobs: AddJobs) -> None:
    add_jobs(3, status="failed")
    add_jobs(97)

    assert monitor("--fail-if", "failed>2") == (1, "", "monitor: failed>2: 3 failed\n")
    assert monitor("--fail-if", "failed>3,lost>0") == (0, "", "")
    assert monitor("--fail-if", "failed>2%", "--quiet") == (1, "", "")
    assert monitor("--fail-if", "failed>0", "-q", "since:1s type:etl")[0] == 0
    assert len(monitor("--fail-if", "failed>2", "--json")[1].splitlines()) == 50


def test_numbers_are_exact_and_of_the_filter(monitor: Monitor, add_jobs: AddJobs) -> None:
    add_jobs(2, status="scheduled")
    add_jobs(3, status="failed", error_kind="lost", job_type="etl")

    _, out, _ = monitor("--show", "overview", "--json")
    (numbers,) = lines(out)
    _, of_etl, _ = monitor("--show", "overview", "--json", "-q", "type:etl")

    assert (numbers["queued"], numbers["lost"], numbers["failures"], numbers["total"]) == (2, 3, 3, 5)
    assert numbers["oldest_queued"] >= 0
    assert lines(of_etl)[0]["total"] == 3
    assert "queued" in monitor("--show", "overview")[1]


@pytest.mark.parametrize("format_", ["--json", "--csv", "--once"])
@pytest.mark.parametrize("show", ["jobs", "overview", "errors", "types", "kernels"])
def test_everything_can_be_written_in_every_format(
    monitor: Monitor, add_jobs: AddJobs, add_kernel: Callable[..., UUID], show: str, format_: str
) -> None:
    kernel_id = add_kernel(notebook="n\x1b[2J.ipynb")
    add_jobs(2, status="failed", error_message="bad 1", kernel_id=kernel_id)
    add_jobs(2, status="in_progress", kernel_id=kernel_id)

    code, out, _ = monitor("--show", show, format_)

    assert code == 0
    assert len(out.splitlines()) >= 1
    assert not ACTING.search(out)


@pytest.mark.parametrize("format_", ["--json", "--csv", "--once"])
def test_no_text_of_a_job_acts_on_a_terminal(
    monitor: Monitor, add_jobs: AddJobs, add_kernel: Callable[..., UUID], format_: str
) -> None:
    for text in HOSTILE.values():
        add_jobs(
            1, job_type=text[:50], name=text, status="failed", error_message=text, kernel_id=add_kernel(notebook=text)
        )

    code, out, err = monitor(format_, "--limit", "all")

    assert code == 0
    assert not ACTING.search(out.replace("\r\n", "\n"))
    assert not ACTING.search(err)
    assert len(out.splitlines()) == len(HOSTILE) + (format_ != "--json")


def test_json_gives_hostile_text_back_as_it_was(monitor: Monitor, add_jobs: AddJobs) -> None:
    for text in HOSTILE.values():
        add_jobs(1, name=text)

    names = [one["name"] for one in lines(monitor("--json", "--limit", "all")[1])]

    assert names[::-1] == [text[:300] for text in HOSTILE.values()]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", '=HYPERLINK("http://x")'])
def test_csv_is_no_formula(text: str) -> None:
    (row,) = csv.reader([as_csv([text, "plain", 1, None, True])])

    assert row[0][0] not in "=+-@\t\r"
    assert row[1:] == ["plain", "1", "", "true"]


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("limit", [1, 5, 50, 300])
def test_safe_line_is_one_harmless_line(text: str, limit: int) -> None:
    line = safe_line(text, limit)

    assert len(line) <= limit
    assert not ACTING.search(line)
    assert "\n" not in line


def test_safe_lines_keep_lines_and_say_what_is_cut() -> None:
    assert safe_lines("a\tb\r\n\x1b[1mc") == ["a       b", "␛[1mc"]
    assert safe_lines("1\n2\n3\n4", lines=2) == ["1", "2", "… 2 more lines"]
    assert safe_lines("") == [""]


def test_table_line_keeps_its_columns_whatever_is_in_them() -> None:
    line = as_table_line(("表" * 20, "x", "end"), (11, 4, 10), None)

    assert line == "表表表表表…  x     end"
    assert as_table_line(("a", "b", "c" * 100), (2, 2, 3), 20).endswith("c…")


def test_json_line_has_no_line_end_inside() -> None:
    assert as_json({"a": "x\n\u2028\x9b\ud800"}).count("\n") == 0


# -- as a process


def start(*arguments: str, url: str, home: Path, **options: Any) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "DATABASE_URL": url, "JOBNB_HOME": str(home)}
    command = [sys.executable, *options.pop("python", ()), "-m", "monitor", *arguments]
    return subprocess.Popen(
        command, env=environment, cwd=home.parent, text=True, **{"stdin": subprocess.DEVNULL,
        "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
    )  # fmt: skip


def test_reader_that_leaves_early_is_no_error(database_url: str, home: Path, add_jobs: AddJobs) -> None:
    add_jobs(20_000)
    process = start("--json", "--limit", "all", "--quiet", url=database_url, home=home)
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["state"] == "done"
    process.stdout.close()

    assert process.wait(30) == 0
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.stderr.close()


def test_scripts_do_not_import_textual(database_url: str, home: Path) -> None:
    process = start("--once", url=database_url, home=home, python=("-X", "importtime"))
    _, err = process.communicate(timeout=60)

    assert process.returncode == 0
    imported = {line.rpartition("|")[2].strip() for line in err.splitlines() if line.startswith("import time:")}
    assert "monitor.postgres" in imported
    assert not {name for name in imported if name.startswith(("textual", "monitor.tui", "IPython", "ipywidgets"))}


def test_database_that_is_away_is_3_and_one_that_is_wrong_is_4(home: Path, empty_url: str) -> None:
    away = start("--once", url="postgresql://jobnb@127.0.0.1:1/jobnb", home=home)
    wrong = start("--once", url=empty_url, home=home)

    (_, no_answer), (_, no_tables) = away.communicate(timeout=60), wrong.communicate(timeout=60)

    assert (away.returncode, wrong.returncode) == (3, 4)
    assert "no answer" in no_answer
    assert "jobnb init-db" in no_tables
    assert "Traceback" not in no_answer + no_tables


def test_redirected_errors_are_no_terminal(database_url: str, home: Path, add_jobs: AddJobs) -> None:
    # Textual draws on standard error: without it the screen would stay blank
    add_jobs(1)
    controller, terminal = pty.openpty()
    process = start(url=database_url, home=home, stdin=terminal, stdout=terminal)
    os.close(terminal)
    _, err = process.communicate(timeout=60)

    assert process.returncode == 0
    shown = os.read(controller, 10_000).decode()
    os.close(controller)
    assert "done" in shown
    assert err == ""


class Follower:
    """A monitor that follows, line by line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        self._out = process.stdout

    def next(self) -> dict[str, Any]:
        line = self._out.readline()
        assert line, self.process.stderr.read() if self.process.stderr else ""
        found: dict[str, Any] = json.loads(line)
        return found

    def end(self) -> int:
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=30)
        return self.process.returncode


@pytest.fixture
def follower(home: Path) -> Iterator[Callable[..., Follower]]:
    started: list[Follower] = []

    def begin(url: str, *arguments: str) -> Follower:
        started.append(Follower(start("--follow", "--json", "--refresh", "0.05", *arguments, url=url, home=home)))
        return started[-1]

    yield begin
    for one in started:
        one.process.kill()
        one.process.communicate()


def test_follow_tells_every_change_and_ends_with_130(
    database_url: str, follower: Callable[..., Follower], add_jobs: AddJobs, sql: Sql
) -> None:
    old = add_jobs(2)
    watcher = follower(database_url)
    assert [watcher.next()["job_id"] for _ in old] == [str(job_id) for job_id in old]

    (job_id,) = add_jobs(1, status="scheduled")
    seen = [watcher.next()]
    for change in (
        "status = 'in_progress'",
        "cancel_requested_at = now()",
        "status = 'failed', error_kind = 'cancelled', finished_at = timezone('utc', now()) - interval '1 hour'",
    ):
        sql.execute(f"UPDATE jobs SET {change} WHERE job_id = %s", (job_id,))  # type: ignore[arg-type]
        seen.append(watcher.next())

    assert [one["job_id"] for one in seen] == [str(job_id)] * 4
    assert [(one["state"], one["cancel_requested"]) for one in seen] == [
        ("scheduled", False),
        ("in_progress", False),
        ("in_progress", True),
        ("cancelled", True),
    ]
    assert watcher.end() == 130


def test_follow_goes_on_after_a_restart_and_misses_nothing(home: Path, follower: Callable[..., Follower]) -> None:
    server = PrivateServer()
    try:
        server.ask(schema_sql())
        server.ask("INSERT INTO jobs (job_type, status) SELECT 'old', 'in_progress' FROM generate_series(1, 3)")
        watcher = follower(server.url())
        for _ in range(3):
            assert watcher.next()["state"] == "in_progress"

        server.restart("immediate")
        server.ask("UPDATE jobs SET status = 'done', finished_at = timezone('utc', now())")
        server.ask("INSERT INTO jobs (job_type, status) VALUES ('new', 'scheduled')")

        seen = [watcher.next() for _ in range(4)]
        assert sorted((one["type"], one["state"]) for one in seen) == [("new", "scheduled"), *[("old", "done")] * 3]
        assert watcher.end() == 130
    finally:
        server.remove()


def test_until_waits_for_the_end_of_the_queue(database_url: str, home: Path, add_jobs: AddJobs, sql: Sql) -> None:
    add_jobs(2, status="in_progress")
    process = start("--until", "active=0", "--fail-if", "failed>0", "--refresh", "0.05", url=database_url, home=home)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(2)
    sql.execute("UPDATE jobs SET status = 'done', finished_at = timezone('utc', now())")

    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, "")
    assert "active=0: 0 active" in err


def test_fail_if_ends_following_with_1(monitor: Monitor, add_jobs: AddJobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "REFRESH", 0.05)
    add_jobs(1, status="failed", error_kind="lost")

    code, out, err = monitor("--follow", "--json", "--fail-if", "lost>0")

    assert (code, len(out.splitlines())) == (1, 1)
    assert "lost>0: 1 lost" in err


def test_help_documents_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        run(["--help"])

    text = capsys.readouterr().out
    assert end.value.code == 0
    for words in ("exit codes:", "3 the database can't be reached", "--fail-if", "filter:", "state:failed"):
        assert words in text


def test_embedded_server_starts_for_the_monitor(home: Path) -> None:
    process = start("--show", "overview", "--json", url="", home=home)
    out, err = process.communicate(timeout=120)

    assert (process.returncode, err) == (0, "")
    assert lines(out)[0]["total"] == 0
    until(lambda: not (home / "postgres" / "data" / "postmaster.pid").exists())


def test_changes_between_two_looks_are_one_line(monitor: Monitor, add_jobs: AddJobs, source: Any, sql: Sql) -> None:
    changes = source.changes(source_filter())
    (job_id,) = add_jobs(1, status="scheduled")
    sql.execute("UPDATE jobs SET status = 'in_progress'")

    first = changes.look()
    again = changes.look()
    time.sleep(0.01)
    sql.execute("UPDATE jobs SET progress = 0.5")

    assert [(row.job_id, row.state) for row in first] == [(job_id, "in_progress")]
    assert again == changes.look() == []


def source_filter() -> Any:
    from monitor.model import EVERYTHING

    return EVERYTHING
