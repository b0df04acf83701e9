"""Takes the pictures of the notebook anew: `python docs/pictures/take_notebook.py`. Look at them before they land."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "tools"))

from lab_driver import Notebook, browser_page, jupyter_server

HERE = Path(__file__).parent
FUNCTIONS = """import jobnb, time

def train(rounds, rate):
    for n in jobnb.track(range(rounds), description="epoch"):
        time.sleep(0.1)
        if n % 10 == 9:
            print(f"epoch {n + 1}: loss {1 / (rate * n):.3f}")
    return {"accuracy": 0.93}

def clean(table):
    for _ in jobnb.track(range(8)):
        time.sleep(0.03 * (1 + len(table) % 3))
    if table.endswith("7.csv"):
        raise ValueError(f"{table} has no column 'price'")
    return len(table)"""
CELLS = [
    FUNCTIONS,
    'job = jobnb.submit(train, 40, rate=0.3, job_type="training")',
    "1 + 1  # the cell comes back at once",
    'group = jobnb.map(clean, [f"sales-{n}.csv" for n in range(40)])',
    "broken = group[7]\nbroken.result()",
    "job.result()",
    "jobnb.map(train, [2, 3, 4], [0.1, 0.2, 0.3]).results()",
    "jobnb.jobs(limit=6)",
]


def main() -> None:
    """Take them all."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with jupyter_server(folder, JOBNB_HOME=f"{folder}/home") as server, browser_page(920, 2600) as page:
            notebook = Notebook(page, server, "analysis", CELLS, "notebook")
            notebook.run(0)
            notebook.run(1, 2)
            time.sleep(2.2)
            take(notebook, "live", 1, 2)
            notebook.run(3)
            notebook.wait_for(3, "2 failed")
            take(notebook, "many", 3, 3)
            notebook.wait_for(3, "100%", seconds=30)
            notebook.run(4)
            notebook.wait_for(1, "✓ done")
            notebook.run(5)
            notebook.run(6, 7)
            time.sleep(2.5)
            take(notebook, "failed", 4, 4)
            take(notebook, "results", 6, 7)
            notebook.command("apputils:change-theme", {"theme": "JupyterLab Dark"})
            time.sleep(1)
            take(notebook, "dark", 1, 3)


def take(notebook: Notebook, name: str, first: int, last: int) -> None:
    """A picture of some cells."""
    boxes = [notebook.page.locator(".jp-Notebook .jp-Cell").nth(number).bounding_box() for number in (first, last)]
    top, bottom = boxes
    assert top
    assert bottom
    clip = {"x": top["x"], "y": top["y"], "width": top["width"], "height": bottom["y"] + bottom["height"] - top["y"]}
    notebook.page.screenshot(path=HERE / f"notebook-{name}.png", clip=clip)


if __name__ == "__main__":
    main()
