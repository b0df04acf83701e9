"""Notebooks that tools run and export, and IPython in a terminal: the same calls, and text or HTML that is true."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter

SETUP = (
    "import jobnb, time\n"
    "def steps(n, pause=0.05):\n    for i in jobnb.track(range(n)):\n        print('line', i); time.sleep(pause)\n    return n\n"
    "def broken():\n    return 1 / 0"
)


@pytest.fixture
def run(module_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a notebook as `jupyter execute` does."""
    monkeypatch.setenv("JOBNB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DATABASE_URL", module_database)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))

    def run_cells(*cells: str) -> Any:
        document = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in (SETUP, *cells)])
        document.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        NotebookClient(document, timeout=30, allow_errors=True).execute(cwd=str(tmp_path))
        return document

    return run_cells


def html_of(cell: Any) -> str:
    return "".join(output["data"].get("text/html", "") for output in cell.outputs if "data" in output)


def test_an_executed_notebook_holds_the_final_truth(run: Any) -> None:
    document = run(
        "job = jobnb.submit(steps, 5)",
        "bad = jobnb.submit(broken)",
        "group = jobnb.map(steps, [1, 2])",
        "job.result(), bad.exception(), group.results()",
    )
    done, failed, many = document.cells[1:4]
    assert "✓ done" in html_of(done)
    assert "✗ failed" in html_of(failed)
    assert "ZeroDivisionError: division by zero" in html_of(failed)
    assert "2 done" in html_of(many)
    assert "widgets" not in document.metadata, "no state of widgets that nothing shows"
    exported, _ = HTMLExporter().from_notebook_node(document)
    for words in ("✓ done", "✗ failed", "took"):
        assert words in exported


def test_a_job_that_outlives_the_run_is_said_to_be_submitted_and_nothing_else(run: Any) -> None:
    document = run("job = jobnb.submit(steps, 40)\ntime.sleep(0.8)", "1 + 1")
    shown = html_of(document.cells[1])
    assert "was submitted at" in shown
    assert not re.search(r"running|scheduled|\d%|done", shown)


def test_a_job_that_ends_unwatched_is_told_by_the_next_cell(run: Any) -> None:
    document = run("job = jobnb.submit(steps, 1)", "time.sleep(1)")
    assert "✓ done" in html_of(document.cells[1])


def test_what_is_shown_of_a_group_and_of_jobs_is_a_table(run: Any) -> None:
    document = run(
        "group = jobnb.map(steps, [1, 2, 3])\ngroup.wait()",
        "group",
        "group.results()",
        "jobnb.jobs(limit=2)",
        "list(group.results()), group.results() == [1, 2, 3]",
    )
    group, results, jobs, plain = document.cells[2:6]
    assert "3 done" in html_of(group)
    assert re.findall(r"<th>(\w+)</th>", html_of(results))[:4] == ["n", "status", "time", "value"]
    assert html_of(jobs).count("✓ done") == 2
    assert plain.outputs[0]["data"]["text/plain"] == "([1, 2, 3], True)"


def test_an_error_in_a_run_keeps_the_card(run: Any) -> None:
    document = run("bad = jobnb.submit(broken)", "bad.result()")
    assert "✗ failed" in html_of(document.cells[1])
    assert document.cells[2].outputs[0]["ename"] == "ZeroDivisionError"


def test_a_job_that_is_the_first_to_import_pyplot_draws_under_its_own_cell(run: Any) -> None:
    draw = "def draw():\n    import matplotlib.pyplot as plt\n    plt.plot([1, 2]); time.sleep(0.3)\n    return len(plt.gca().lines)\n"
    document = run(f"{draw}job = jobnb.submit(draw)\njob.wait()", "job.result()")
    first, second = document.cells[1:3]
    assert ["image/png" in output.get("data", {}) for output in first.outputs].count(True) == 1
    assert not any("image/png" in output.get("data", {}) for output in second.outputs)


def ipython(folder: Path, url: str, *lines: str, **environment: str) -> str:
    """What a terminal with IPython shows when these lines are typed in."""
    own = {
        "JOBNB_HOME": str(folder / "home"),
        "DATABASE_URL": url,
        "IPYTHONDIR": str(folder / "ipython"),
        **environment,
    }
    done = subprocess.run(
        [sys.executable, "-m", "IPython", "--simple-prompt", "--no-banner", "--colors=NoColor"],
        input="\n".join([*lines, "exit", ""]), capture_output=True, text=True, timeout=50,
        env={**os.environ, **own}, cwd=folder, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_terminal_shows_a_line_at_the_start_and_one_at_the_end(module_database: str, tmp_path: Path) -> None:
    shown = ipython(
        tmp_path,
        module_database,
        "import jobnb, time",
        "job = jobnb.submit(time.sleep, 0.2)",
        "job.result()",
        "time.sleep(0.6)",
        "job",
    )
    assert re.search(r"jobnb: job sleep was submitted at [\d:]+; jobnb.get\('\w{8}'\) tells how it is", shown)
    assert len(re.findall(r"^.*✓ done  \w{8}  sleep", shown, re.MULTILINE)) == 2, "at the end, and as the handle's repr"
    assert "<JobHandle ✓ done" in shown


def test_a_terminal_can_be_silent_and_an_error_shows_the_users_lines(module_database: str, tmp_path: Path) -> None:
    shown = ipython(
        tmp_path,
        module_database,
        "import jobnb",
        "job = jobnb.submit(lambda: 1 / 0)",
        "job.result()",
        JOBNB_DISPLAY="none",
    )
    assert "was submitted" not in shown
    assert "ZeroDivisionError: division by zero" in shown
    assert "handle.py" not in shown


def test_a_script_shows_nothing(module_database: str, tmp_path: Path) -> None:
    code = "import jobnb, sys\njob = jobnb.submit(print, 'hello')\njob.result()\nprint('IPython' in sys.modules, 'ipywidgets' in sys.modules)"
    own = {"JOBNB_HOME": str(tmp_path / "home"), "DATABASE_URL": module_database}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=50, env={**os.environ, **own}, check=True
    )
    assert (done.stdout, done.stderr) == ("hello\nFalse False\n", "")
