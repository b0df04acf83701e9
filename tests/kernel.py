"""A real kernel, driven message by message: which cell gets which output, and whether every cell is answered."""

from __future__ import annotations

import os
import queue
import re
import threading
import time
from pathlib import Path
from typing import Any

from jupyter_client.manager import KernelManager
from jupyter_core.utils import ensure_event_loop

SHOWN = ("stream", "display_data", "execute_result", "update_display_data", "error")


class Kernel:
    """A running ipykernel; `run` runs a cell and waits for its end, `send` only queues it.

    Attributes:
        messages: every message of the IOPub channel, in order.
    """

    def __init__(self, folder: Path, **environment: str) -> None:
        settings = {"IPYTHONDIR": str(folder / "ipython"), "JUPYTER_RUNTIME_DIR": str(folder), **environment}
        self._manager = KernelManager(kernel_name="python3")
        self._manager.start_kernel(env={**os.environ, **settings}, cwd=str(folder))
        self.client = self._manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)
        self.messages: list[dict[str, Any]] = []
        self._replies: dict[str, dict[str, Any]] = {}
        self._stopped = threading.Event()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def send(self, code: str) -> str:
        """Queue a cell; its id."""
        return self.client.execute(code, stop_on_error=False)

    def run(self, code: str, timeout: float = 30) -> Cell:
        """Run a cell to its end."""
        return self.wait(self.send(code), timeout)

    def wait(self, cell: str, timeout: float = 30) -> Cell:
        """Wait for a cell's end.

        Raises:
            TimeoutError: it never ended: it was lost.
        """
        self._reply(cell, timeout)
        ended = ("status", cell, "idle")
        until(lambda: ended in [_state(message) for message in self.messages], timeout)
        return Cell(self, cell)

    def ask(self, kind: str, **content: Any) -> dict[str, Any]:
        """Send `complete` or `inspect`; the content of the reply."""
        answer: dict[str, Any] = self._reply(getattr(self.client, kind)(**content), 30)["content"]
        return answer

    def interrupt(self) -> None:
        """The stop button."""
        self._manager.interrupt_kernel()

    def restart(self) -> None:
        """The restart button."""
        self._manager.restart_kernel()
        self.client.wait_for_ready(timeout=60)

    def close(self) -> None:
        """End the kernel."""
        self._stopped.set()
        self._listener.join(5)
        self.client.stop_channels()
        self._manager.shutdown_kernel(now=True)
        self._manager.cleanup_resources()
        # made by jupyter_client for each thread, and never closed
        ensure_event_loop().close()

    def _reply(self, request: str, timeout: float) -> dict[str, Any]:
        deadline = time.monotonic() + timeout
        while request not in self._replies:
            if time.monotonic() > deadline:
                raise TimeoutError(f"no answer within {timeout} s")
            try:
                message = self.client.get_shell_msg(timeout=0.2)
            except queue.Empty:
                continue
            self._replies[message["parent_header"].get("msg_id", "")] = message
        return self._replies[request]

    def _listen(self) -> None:
        while not self._stopped.is_set():
            try:
                self.messages.append(self.client.get_iopub_msg(timeout=0.2))
            except queue.Empty:
                continue
        ensure_event_loop().close()


class Cell:
    """What one cell has shown so far; jobs go on adding to it."""

    def __init__(self, kernel: Kernel, cell: str) -> None:
        self._kernel, self.id = kernel, cell

    @property
    def status(self) -> str:
        """`ok`, or `error`, or `aborted`."""
        return str(self._kernel._replies[self.id]["content"]["status"])

    @property
    def error(self) -> str:
        """The name and the message of what it raised."""
        content = self._kernel._replies[self.id]["content"]
        return f"{content['ename']}: {content['evalue']}"

    @property
    def traceback(self) -> str:
        """What it raised, as it is shown, without colours."""
        return plain("\n".join(self._kernel._replies[self.id]["content"]["traceback"]))

    def outputs(self, *kinds: str) -> list[dict[str, Any]]:
        """The contents of its messages of these kinds."""
        wanted = kinds or SHOWN
        return [
            message["content"]
            for message in list(self._kernel.messages)
            if message["parent_header"].get("msg_id") == self.id and message["msg_type"] in wanted
        ]

    @property
    def text(self) -> str:
        """What it printed."""
        return plain("".join(content["text"] for content in self.outputs("stream")))

    @property
    def shown(self) -> list[str]:
        """What it displayed, as text."""
        return [
            plain(content["data"].get("text/plain", "")) for content in self.outputs("display_data", "execute_result")
        ]

    @property
    def paged(self) -> str:
        """What it put into the pager: the answer to `name?`."""
        payload = self._kernel._replies[self.id]["content"]["payload"]
        return plain("".join(one["data"]["text/plain"] for one in payload if one["source"] == "page"))

    @property
    def value(self) -> str | None:
        """The text of its last expression."""
        results = self.outputs("execute_result")
        return plain(results[-1]["data"]["text/plain"]) if results else None


def plain(text: str) -> str:
    """`text` without terminal colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def until(condition: Any, timeout: float = 20) -> None:
    """Wait until `condition()` is true.

    Raises:
        TimeoutError: it never was.
    """
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("it did not happen")
        time.sleep(0.02)


def _state(message: dict[str, Any]) -> tuple[str, str, str]:
    content = message["content"]
    return message["msg_type"], message["parent_header"].get("msg_id", ""), content.get("execution_state", "")
