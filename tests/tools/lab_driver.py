"""A real JupyterLab (or Notebook) in a headless Chromium: what a person sees, clicks and saves."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import nbformat
import pytest
from playwright.sync_api import Page, sync_playwright
from private_server import free_port

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
    "--disable-component-update", "--disable-default-apps", "--disable-sync", "--no-first-run",
    "--metrics-recording-only", "--disable-domain-reliability",
]  # fmt: skip


class Server:
    """A Jupyter server of its own on the loopback interface, without a password, with nothing of the user's."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.notebooks = folder / "notebooks"
        self.notebooks.mkdir()
        self.url = f"http://127.0.0.1:{free_port()}"
        own = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime",
               "JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces", "IPYTHONDIR": "ipython"}  # fmt: skip
        overrides = folder / "settings" / "@jupyterlab" / "apputils-extension"
        overrides.mkdir(parents=True)
        (overrides / "notification.jupyterlab-settings").write_text('{"fetchNews": "false", "checkForUpdates": false}')
        self._log = (folder / "server.log").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", "--ip=127.0.0.1",
             f"--port={self.url.rpartition(':')[2]}", "--ServerApp.port_retries=0", "--IdentityProvider.token=",
             "--ServerApp.disable_check_xsrf=True", "--LabApp.expose_app_in_browser=True",
             "--JupyterNotebookApp.expose_app_in_browser=True", f"--ServerApp.root_dir={self.notebooks}"],
            stdout=self._log, stderr=subprocess.STDOUT, start_new_session=True,
            env={**os.environ, **{name: str(folder / path) for name, path in own.items()}, **environment},
        )  # fmt: skip
        self._wait_until_up()

    def stop(self) -> None:
        """End it; it ends its kernels."""
        self._process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(15)
        self._process.kill()
        self._log.close()

    def _wait_until_up(self) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"{self.url}/api", timeout=2).read()
                return
            except OSError:
                assert self._process.poll() is None, "the server did not start"
                assert time.monotonic() < deadline, "the server did not start in time"
                time.sleep(0.1)


class Notebook:
    """A notebook open in the browser."""

    def __init__(self, page: Page, server: Server, name: str, cells: list[str], app: str = "lab") -> None:
        self.page, self._server, self.path = page, server, server.notebooks / f"{name}.ipynb"
        document = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        document.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(document, self.path)
        self._app = app
        self.open()

    def open(self) -> None:
        """Open it, or load the page anew, and wait for its kernel."""
        base = (
            f"{self._server.url}/lab/workspaces/{self.path.stem}/tree"
            if self._app == "lab"
            else f"{self._server.url}/notebooks"
        )
        self.page.goto(f"{base}/{self.path.name}")
        self.page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
        self.page.wait_for_function("window.jupyterapp !== undefined")
        self.page.evaluate(_WAIT_FOR_KERNEL)

    def run(self, *cells: int, wait: bool = True) -> None:
        """Run cells by their number from 0; never wait for one that may hang."""
        for cell in cells:
            self.page.evaluate(
                "i => { const nb = window.jupyterapp.shell.currentWidget.content; nb.activeCellIndex = i; nb.deselectAll() }",
                cell,
            )
            self.command("notebook:run-cell", wait=wait)

    def command(self, name: str, arguments: dict[str, Any] | None = None, *, wait: bool = True) -> None:
        """Run a command of the application."""
        call = "window.jupyterapp.commands.execute(c, a)"
        script = f"([c, a]) => {call}.then(() => null)" if wait else f"([c, a]) => {{ {call}; return null }}"
        self.page.evaluate(script, [name, arguments or {}])

    def text(self, cell: int) -> str:
        """What is to be read under a cell."""
        script = "i => { const area = window.jupyterapp.shell.currentWidget.content.widgets[i].node.querySelector('.jp-OutputArea'); return area ? area.innerText : '' }"
        return str(self.page.evaluate(script, cell))

    def wait_for(self, cell: int, *words: str, seconds: float = 15.0) -> str:
        """Wait until all words are to be read under a cell; gives the whole text."""
        deadline = time.monotonic() + seconds
        while not all(word in (text := self.text(cell)) for word in words):
            assert time.monotonic() < deadline, f"not within {seconds} s: {words}; there is: {text!r}"
            time.sleep(0.05)
        return text

    def save(self) -> list[dict[str, Any]]:
        """Save it, and give the outputs of all cells of the file, one list a cell."""
        self.command("docmanager:save")
        return [cell.get("outputs", []) for cell in json.loads(self.path.read_text())["cells"]]


_WAIT_FOR_KERNEL = """async () => {
  const app = window.jupyterapp; await app.started; await app.restored;
  for (let i = 0; i < 600; i++) {
    const kernel = app.shell.currentWidget?.context?.sessionContext?.session?.kernel;
    if (kernel && kernel.status === 'idle') return true;
    await new Promise(resolve => setTimeout(resolve, 50));
  }
  throw new Error('the kernel is not idle');
}"""


@contextmanager
def jupyter_server(folder: Path, **environment: str) -> Iterator[Server]:
    """A server for a while."""
    server = Server(folder, environment)
    try:
        yield server
    finally:
        server.stop()


def find_chromium() -> str:
    """The browser that is driven. Without one a test is skipped; in CI there is one, so there it fails."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None and os.environ.get("JOBNB_TEST_ALL"):
        pytest.fail("chromium is not installed")
    return found or pytest.skip("needs the Debian package chromium")


@contextmanager
def browser_page(width: int = 1100, height: int = 900) -> Iterator[Page]:
    """A page of a headless Chromium for a while."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=_FLAGS)
        page = browser.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(15_000)
        try:
            yield page
        finally:
            browser.close()
