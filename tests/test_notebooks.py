"""The notebooks: they run from a fresh kernel to their end, and what is stored with them can be read anywhere."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import nbformat
import psycopg
import pytest
from databases import make_url
from nbclient import NotebookClient

from jobnb.db.embedded import EmbeddedServer

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(path.name for path in FOLDER.glob("*.ipynb"))

SHOWN = {
    "1-quickstart.ipynb": [
        "(178, 13)", "still here", "ZeroDivisionError: division by zero", "'cancelled'", "how many trees?",
        "repeat 5: 0.9",
    ],
    "2-job-cells-and-progress.ipynb": [
        "boosted trees", "epoch: 100%|", "timed out after 1 s", "logisticregression__C", "UsageError: argument --timeout",
    ],
    "3-asyncio-and-job-service.ipynb": [
        "42", "[1, 4, 9]", "['page 0', 'page 1', 'page 2']", "result: 600", "it can't become in_progress", "invoice.pdf",
    ],
    "4-come-back-tomorrow.ipynb": ["(False, False)", "'mean': 13.0", "178 wines", "JobFailed", "lost"],
}  # fmt: skip


def read(name: str) -> Any:
    return nbformat.read(FOLDER / name, as_version=4)


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def texts(notebook: Any) -> str:
    """Everything that is shown, as text."""
    found = []
    for cell in code_cells(notebook):
        for output in cell.outputs:
            found.append(output.get("text") or "\n".join(output.get("traceback", ())))
            found.append(output.get("data", {}).get("text/plain", ""))
    return re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(found))


def kernels(notebook: Any) -> list[Any]:
    """The notebook, in as many parts as it needs kernels."""
    starts = [n for n, cell in enumerate(notebook.cells) if "restart" in cell.metadata.get("tags", ())]
    parts = []
    for first, last in zip([0, *starts], [*starts, len(notebook.cells)], strict=True):
        part = copy.deepcopy(notebook)
        part.cells = part.cells[first:last]
        parts.append(part)
    return parts


@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_runs_to_its_end(name: str, server: EmbeddedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = f"notebook_{name[0]}"
    with psycopg.connect(**server.conninfo(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {database} TEMPLATE template_with_schema")  # type: ignore[arg-type]
    monkeypatch.setenv("DATABASE_URL", make_url(server, database))
    monkeypatch.setenv("JOBNB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    shown = ""
    for part in kernels(read(name)):
        NotebookClient(
            part, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(FOLDER)}}
        ).execute()
        shown += texts(part)
    assert [words for words in SHOWN[name] if words not in shown] == []


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_is_stored_as_it_ran(name: str) -> None:
    notebook = read(name)
    assert [words for words in SHOWN[name] if words not in texts(notebook)] == []
    counts = [[cell.execution_count for cell in code_cells(part)] for part in kernels(notebook)]
    assert counts == [list(range(1, len(part) + 1)) for part in counts]
    for cell in code_cells(notebook):
        failed = [output.ename for output in cell.outputs if output.output_type == "error"]
        assert failed == [] or "raises-exception" in cell.metadata.get("tags", ())


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_what_is_stored_needs_no_kernel_and_names_no_machine(name: str) -> None:
    text = (FOLDER / name).read_text(encoding="utf-8")
    notebook = read(name)
    assert re.findall(r"/tmp/|/root|/home/|/var/", text) == []
    for cell in code_cells(notebook):
        for output in cell.outputs:
            data = output.get("data", {})
            assert "application/vnd.jupyter.widget-view+json" not in data
            assert data == {} or "text/plain" in data
            if 'class="dataframe"' not in data.get("text/html", ""):  # pandas' own has a style
                # code hosts take these out of HTML
                assert re.findall(r"<(style|script|svg|iframe|link)\b", data.get("text/html", "")) == []
            if "jobnb-card" in data.get("text/html", ""):
                # what still moved when its kernel was killed says when that was seen
                moved = re.search(r"running|scheduled", data["text/plain"])
                assert not moved or "as of" in data["text/plain"]


def test_every_notebook_is_checked() -> None:
    assert sorted(SHOWN) == NOTEBOOKS
