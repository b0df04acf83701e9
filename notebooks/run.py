"""Run the notebooks the way a front end does, and store them with what they show: `python notebooks/run.py [NAME ...]`.

Output goes to the cell it belongs to, whenever it comes: what a job prints after its cell has ended is kept, as
JupyterLab keeps it. A code cell with the tag `restart` runs in a new kernel. The jobs go into a server of their own.
"""

from __future__ import annotations

import os
import queue
import shutil
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
from jupyter_client.manager import start_new_kernel

from jobnb.db.embedded import EmbeddedServer

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).parent
SETTLED = 1.5
"""Seconds without a message after which nothing more is expected."""


class FrontEnd:
    """Runs the cells of one notebook in a kernel, and keeps their outputs in its cells."""

    def __init__(self, notebook: Any) -> None:
        self._notebook = notebook
        self._cells: dict[str, Any] = {}
        self._shown: dict[str, list[Any]] = {}

    def run(self) -> None:
        """Run all cells, from a new kernel where one is tagged `restart`.

        Raises:
            RuntimeError: a cell failed that has no tag `raises-exception`.
        """
        self._start()
        try:
            for cell in self._notebook.cells:
                if cell.cell_type == "code":
                    if "restart" in cell.metadata.get("tags", ()):
                        self._stop(kill=True)
                        self._start()
                    self._run_cell(cell)
            self._take_messages(SETTLED)
        finally:
            self._stop()

    def _start(self) -> None:
        self._manager, self._client = start_new_kernel(kernel_name="python3", cwd=str(FOLDER))

    def _stop(self, *, kill: bool = False) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=kill)
        self._cells.clear()
        self._shown.clear()

    def _run_cell(self, cell: Any) -> None:
        cell.outputs, cell.execution_count = [], None
        request = self._client.execute(cell.source, stop_on_error=False)
        self._cells[request] = cell
        reply = self._reply(request)
        # what the cell itself has sent, and a little of what its job sends at once
        self._take_messages(0.3)
        cell.execution_count = reply["execution_count"]
        if reply["status"] != "ok" and "raises-exception" not in cell.metadata.get("tags", ()):
            raise RuntimeError(f"the cell failed: {cell.source}\n{reply.get('ename')}: {reply.get('evalue')}")

    def _reply(self, request: str) -> dict[str, Any]:
        while True:
            message = self._client.get_shell_msg(timeout=120)
            if message["parent_header"].get("msg_id") == request:
                content: dict[str, Any] = message["content"]
                return content

    def _take_messages(self, patience: float) -> None:
        while True:
            try:
                message = self._client.get_iopub_msg(timeout=patience)
            except queue.Empty:
                return
            cell = self._cells.get(message["parent_header"].get("msg_id"))
            if message["msg_type"] == "update_display_data":
                self._update(message["content"])
            elif cell is not None and message["msg_type"] in ("stream", "display_data", "execute_result", "error"):
                self._append(cell, message)

    def _append(self, cell: Any, message: dict[str, Any]) -> None:
        output = nbformat.v4.output_from_msg(message)
        last = cell.outputs[-1] if cell.outputs else None
        if last is not None and output.output_type == "stream" == last.output_type and output.name == last.name:
            last.text += output.text
            return
        cell.outputs.append(output)
        if display_id := message["content"].get("transient", {}).get("display_id"):
            self._shown.setdefault(display_id, []).append(output)

    def _update(self, content: dict[str, Any]) -> None:
        for output in self._shown.get(content["transient"]["display_id"], ()):
            output.data, output.metadata = nbformat.from_dict(content["data"]), nbformat.from_dict(content["metadata"])


def run(path: Path) -> None:
    """Run one notebook and store it."""
    notebook = nbformat.read(path, as_version=4)
    FrontEnd(notebook).run()
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    nbformat.write(notebook, path)


def main(names: list[str]) -> None:
    """Run the notebooks with these names, or all of them."""
    for path in [FOLDER / name for name in names] or sorted(FOLDER.glob("*.ipynb")):
        began = time.monotonic()
        with server_of_its_own():
            run(path)
        print(f"{path.name}: {time.monotonic() - began:.0f} s")


@contextmanager
def server_of_its_own() -> Iterator[None]:
    """An empty embedded server that the kernels share, and nothing of which stays."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        os.environ["JOBNB_HOME"] = home
        server = EmbeddedServer(Path(home))
        server.ensure_running()
        try:
            yield
        finally:
            data = server.status().data
            server.release()
            shutil.rmtree(data.parent, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1:])
