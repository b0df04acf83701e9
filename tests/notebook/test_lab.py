"""What a person sees and clicks in a real JupyterLab and Notebook, and what the saved file then holds."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator

import nbformat
import pytest
from lab_driver import Notebook, Server, browser_page, jupyter_server
from playwright.sync_api import Page

pytestmark = pytest.mark.timeout(120)

WIDGET = "application/vnd.jupyter.widget-view+json"
SETUP = (
    "import asyncio, jobnb, time\n"
    "def steps(n, pause=0.1):\n    for i in jobnb.track(range(n), description='step'):\n        time.sleep(pause)\n    return n\n"
    "def spin():\n    while True:\n        jobnb.check_cancelled(); time.sleep(0.02)"
)


@pytest.fixture(scope="module")
def lab(module_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("lab")
    with jupyter_server(folder, JOBNB_HOME=str(folder / "home"), DATABASE_URL=module_database) as server:
        yield server


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with browser_page() as page:
        yield page


def percents(notebook: Notebook, cell: int, looks: int = 8) -> list[int]:
    seen = []
    for _ in range(looks):
        if found := re.search(r"(\d+)%", notebook.text(cell)):
            seen.append(int(found[1]))
        time.sleep(0.2)
    return seen


def html(output: dict[str, object]) -> str:
    data = output["data"]
    assert isinstance(data, dict)
    return "".join(data["text/html"])


@pytest.mark.parametrize("app", ["lab", "notebook"])
def test_the_bar_moves_while_other_cells_run_and_the_file_tells_the_end(lab: Server, page: Page, app: str) -> None:
    notebook = Notebook(
        page, lab, f"live-{app}", [SETUP, "job = jobnb.submit(steps, 30)", "time.sleep(1.5)", "job.result()"], app
    )
    notebook.run(0, 1)
    notebook.wait_for(1, "running", "%", "Cancel")
    notebook.run(2, wait=False)
    seen = percents(notebook, 1)
    assert len(set(seen)) >= 4
    assert seen == sorted(seen)
    notebook.run(3)
    notebook.wait_for(1, "✓ done", "took")
    outputs = notebook.save()[1]
    assert len(outputs) == 1
    assert WIDGET not in outputs[0]["data"]
    assert re.search(r"took \d\.\d s", html(outputs[0]))
    assert "Cancel" not in notebook.text(1)


def test_cancel_is_heard_at_once_whatever_the_kernel_does(lab: Server, page: Page) -> None:
    waits = ["pass", "job.wait(10)", "await asyncio.sleep(4)", "await job"]
    cells = [SETUP, *[code for wait in waits for code in ("job = jobnb.submit(spin)", wait)]]
    notebook = Notebook(page, lab, "cancel", cells)
    notebook.run(0)
    for number in range(1, len(cells), 2):
        notebook.run(number)
        notebook.wait_for(number, "running", "Cancel")
        notebook.run(number + 1, wait=False)
        time.sleep(0.5)
        page.click("button:has-text('Cancel')")
        text = notebook.wait_for(number, "⊘ cancelled", seconds=3)
        assert "cancelled after" in text
        page.wait_for_selector("button:has-text('Cancel')", state="detached")


def test_a_reloaded_page_has_a_live_card_with_a_cancel_that_works(lab: Server, page: Page) -> None:
    notebook = Notebook(page, lab, "reload", [SETUP, "job = jobnb.submit(steps, 4000, 0.05)", "'alive'"])
    notebook.run(0, 1)
    notebook.wait_for(1, "running", "%")
    notebook.save()
    notebook.open()
    notebook.wait_for(1, "running", "%", "Cancel", seconds=20)
    before = re.search(r"step \d+", notebook.text(1))
    assert before
    page.wait_for_function("was => !document.querySelector('.jobnb-card').innerText.includes(was + '/')", arg=before[0])
    notebook.run(2)
    page.click("button:has-text('Cancel')")
    notebook.wait_for(1, "⊘ cancelled", seconds=5)


def test_a_file_saved_while_a_job_runs_claims_nothing_when_it_is_opened_without_a_kernel(
    lab: Server, page: Page
) -> None:
    notebook = Notebook(page, lab, "running", [SETUP, "job = jobnb.submit(steps, 400)"])
    notebook.run(0, 1)
    notebook.wait_for(1, "running", "%")
    outputs = notebook.save()[1]
    for kind in ("text/html", "text/plain"):
        text = "".join(outputs[0]["data"][kind])
        assert "was submitted at" in text
        assert not re.search(r"running|scheduled|\d%", text)


def test_an_untrusted_notebook_shows_the_static_card_as_it_is(lab: Server, page: Page) -> None:
    notebook = Notebook(
        page,
        lab,
        "trusted",
        [
            SETUP,
            "job = jobnb.submit(lambda: 1 / 0)\njob.wait(5)",
            "group = jobnb.map(steps, [1, 2], [0.01, 0.01])\ngroup.wait()",
        ],
    )
    notebook.run(0, 1, 2)
    notebook.wait_for(1, "✗ failed", "ZeroDivisionError")
    notebook.wait_for(2, "2 done")
    notebook.save()
    document = nbformat.read(notebook.path, as_version=4)
    copy = lab.notebooks / "untrusted.ipynb"
    for cell in document.cells:
        cell.source += " "  # a signature covers the outputs; these were made by somebody else
        for output in cell.outputs:
            output["data"]["text/plain"] += " "
    nbformat.write(document, copy)
    other = Notebook.__new__(Notebook)
    other.page, other._server, other.path, other._app = page, lab, copy, "lab"
    other.open()
    other.wait_for(1, "✗ failed", "ZeroDivisionError")
    assert page.evaluate("() => window.jupyterapp.shell.currentWidget.content.widgets[1].model.trusted") is False
    style = page.evaluate("() => getComputedStyle(document.querySelector('.jobnb-card')).borderLeftColor")
    assert style == "rgb(220, 59, 59)"
    assert page.evaluate("() => getComputedStyle(document.querySelector('.jobnb-card')).display") == "flex"


def test_many_cards_and_fast_jobs_lose_no_message(lab: Server, page: Page) -> None:
    fast = "def fast(n):\n    for i in range(100):\n        jobnb.progress(i / 100, f'step {i}'); time.sleep(0.001)"
    cells = [
        SETUP,
        fast,
        "jobs = [jobnb.submit(fast, n) for n in range(200)]",
        *[f"one_{n} = jobnb.submit(fast, {n})" for n in range(12)],
        "jobnb.wait(jobs); 'all'",
    ]
    notebook = Notebook(page, lab, "many", cells)
    notebook.run(0, 1)
    notebook.run(*range(2, len(cells) - 1), wait=False)
    notebook.run(len(cells) - 1, wait=False)
    notebook.wait_for(len(cells) - 1, "'all'", seconds=40)
    notebook.wait_for(2, "200 done", seconds=20)
    for number in range(12):
        notebook.wait_for(3 + number, "✓ done", seconds=20)
    log = (lab.notebooks.parent / "server.log").read_text()
    assert "rate exceeded" not in log
    assert "rate exceeded" not in page.inner_text("body")


def test_the_card_of_a_restarted_kernel_claims_nothing_and_get_tells_all(lab: Server, page: Page) -> None:
    notebook = Notebook(
        page,
        lab,
        "tomorrow",
        [
            SETUP,
            "job = jobnb.submit(steps, 2)\nprint(job.job_id)",
            "job.result()",
            "import jobnb\njob = jobnb.get(JOB)\njob",
            "job.result()",
        ],
    )
    notebook.run(0, 1, 2)
    job_id = re.search(r"[0-9a-f-]{36}", notebook.text(1))
    assert job_id
    page.evaluate("() => window.jupyterapp.shell.currentWidget.context.sessionContext.session.kernel.restart()")
    page.evaluate(
        "id => { const cell = window.jupyterapp.shell.currentWidget.content.widgets[3].model.sharedModel; cell.setSource(cell.getSource().replace('JOB', JSON.stringify(id))) }",
        job_id[0],
    )
    notebook.run(3, 4)
    notebook.wait_for(3, "✓ done", "took")
    notebook.wait_for(4, "2")
    assert "✓ done" in json.dumps(notebook.save()[1], ensure_ascii=False)
