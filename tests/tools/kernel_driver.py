"""A kernel driver: runs cells, and tells under which cell every message landed."""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from jupyter_client.manager import KernelManager
from jupyter_core.utils import ensure_event_loop

PYTHON = os.environ.get("JOBNB_TEST_KERNEL_PYTHON", sys.executable)
"""The interpreter that kernels run in: `.ci/kernel-matrix` points it at other versions of ipykernel."""


class Output(NamedTuple):
    """One message that shows something.

    Attributes:
        cell: the number of the cell it belongs to, from 1; 0 if to none.
        kind: the message type; `stream` types have the stream's name behind.
        text: what it says.
        data: by mime type, for displayed data.
        display_id: of displayed data; empty if it has none.
    """

    cell: int
    kind: str
    text: str
    data: dict[str, Any]
    display_id: str


class Cell:
    """One run of one cell."""

    def __init__(self, kernel: Kernel, number: int, message_id: str) -> None:
        self._kernel, self.number, self.message_id = kernel, number, message_id

    @property
    def outputs(self) -> list[Output]:
        """What landed under it so far."""
        return [output for output in self._kernel.outputs if output.cell == self.number]

    @property
    def text(self) -> str:
        """What was printed under it so far."""
        return "".join(output.text for output in self.outputs if output.kind.startswith("stream"))

    @property
    def result(self) -> str:
        """The text of its last expression."""
        return "".join(output.text for output in self.outputs if output.kind == "execute_result")

    @property
    def shown(self) -> list[str]:
        """The texts of what it displayed, its last expression included."""
        return [_plain(output.text) for output in self.outputs if output.kind in ("display_data", "execute_result")]

    @property
    def reply(self) -> dict[str, Any]:
        """What the kernel answered: the status, the name and message of what it raised, what went into the pager."""
        return self.wait()

    @property
    def error(self) -> str:
        """Its traceback, without colours; empty if it raised nothing."""
        return "".join(output.text for output in self.outputs if output.kind == "error")

    def wait(self, seconds: float = 60.0) -> dict[str, Any]:
        """Wait until it has run; gives the reply."""
        return self._kernel.wait_for_reply(self.message_id, seconds)


class Kernel:
    """A kernel, driven over its sockets as a front end does it."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._manager = KernelManager(kernel_name="python3")
        self._manager.kernel_spec.argv[:] = [PYTHON, "-Xfrozen_modules=off", "-m", "ipykernel_launcher", "-f", "{connection_file}"]  # fmt: skip
        self._manager.start_kernel(
            env={**os.environ, "IPYTHONDIR": str(folder / "ipython"), **environment}, cwd=str(folder)
        )
        self._client = self._manager.client()
        self._client.start_channels()
        self._client.wait_for_ready(30)
        self.messages: list[dict[str, Any]] = []
        self._cells: dict[str, int] = {}
        self._replies: dict[str, dict[str, Any]] = {}
        self._is_over = threading.Event()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def start(self, code: str, *, in_browser: bool = True) -> Cell:
        """Run a cell and do not wait for it; `in_browser`: as JupyterLab asks for it, with the cell's id."""
        message = self._client.session.msg(
            "execute_request",
            {
                "code": code,
                "silent": False,
                "store_history": True,
                "user_expressions": {},
                "allow_stdin": False,
                "stop_on_error": False,
            },
            metadata={"cellId": f"cell-{len(self._cells)}"} if in_browser else {},
        )
        message_id = message["header"]["msg_id"]
        self._cells[message_id] = len(self._cells) + 1
        self._client.shell_channel.send(message)
        return Cell(self, self._cells[message_id], message_id)

    def run(self, code: str, seconds: float = 60.0, *, in_browser: bool = True) -> Cell:
        """Run a cell and wait for it."""
        cell = self.start(code, in_browser=in_browser)
        cell.wait(seconds)
        return cell

    def ask(self, kind: str, **content: Any) -> dict[str, Any]:
        """Send a request of the client, such as `complete`; gives the reply."""
        return self._answer(getattr(self._client, kind)(**content), 60.0)

    def send_comm(self, comm_id: str, data: dict[str, Any]) -> None:
        """Send what a widget's page sends."""
        message = self._client.session.msg("comm_msg", {"comm_id": comm_id, "data": data})
        self._client.shell_channel.send(message)

    def click(self, description: str) -> None:
        """Click the newest button that says `description`."""
        for message in reversed(self.messages):
            state = message["content"].get("data", {}).get("state", {})
            if message["msg_type"] == "comm_open" and state.get("description") == description:
                self.send_comm(message["content"]["comm_id"], {"method": "custom", "content": {"event": "click"}})
                return
        raise AssertionError(f"no button says {description}")

    def interrupt(self) -> None:
        """Press the stop button."""
        self._manager.interrupt_kernel()

    def restart(self, *, now: bool = False) -> None:
        """Press the restart button; `now` kills it."""
        self._manager.restart_kernel(now=now)
        self._client.wait_for_ready(60)

    def shut_down(self) -> None:
        """Close the notebook for good, as Jupyter Server does."""
        self._manager.shutdown_kernel(now=False)

    def wait_for_reply(self, message_id: str, seconds: float) -> dict[str, Any]:
        content = self._answer(message_id, seconds)
        # its output comes on another socket, and ends with `idle`
        self.wait_until(lambda: any(_is_idle(message, message_id) for message in self.messages))
        return content

    def _answer(self, message_id: str, seconds: float) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while message_id not in self._replies:
            try:
                reply = self._client.shell_channel.get_msg(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                number = self._cells.get(message_id, "?")
                raise AssertionError(f"cell {number} did not end within {seconds} s") from None
            self._replies[reply["parent_header"].get("msg_id")] = reply
        return self._replies[message_id]["content"]

    def wait_until(self, condition: Callable[[], object], seconds: float = 30.0) -> None:
        """Wait for what a message will make true."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, (
                f"did not happen within {seconds} s; seen: {[output[:3] for output in self.outputs[-12:]]}"
            )
            time.sleep(0.02)

    @property
    def outputs(self) -> list[Output]:
        """Everything that shows something, in the order it came."""
        return [self._output(message) for message in list(self.messages) if message["msg_type"] in _SHOWN]

    def widget_texts(self) -> list[str]:
        """The HTML that widgets were given, in the order it came."""
        states = [
            message["content"].get("data", {}).get("state", {})
            for message in list(self.messages)
            if message["msg_type"] in ("comm_open", "comm_msg")
        ]
        return [state["value"] for state in states if "value" in state]

    def stop(self) -> None:
        """End the kernel at once."""
        self._is_over.set()
        self._listener.join()  # while it reads, the channels can't be closed
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)
        # jupyter_client makes a loop for its blocking calls, and leaves it open
        ensure_event_loop().close()

    def _listen(self) -> None:
        while not self._is_over.is_set():
            try:
                self.messages.append(self._client.iopub_channel.get_msg(timeout=0.2))
            except queue.Empty:
                continue

    def _output(self, message: dict[str, Any]) -> Output:
        content = message["content"]
        cell = self._cells.get(message["parent_header"].get("msg_id", ""), 0)
        data = content.get("data") or {}
        kind = message["msg_type"]
        if kind == "stream":
            return Output(cell, f"stream:{content['name']}", content["text"], {}, "")
        text = _plain("\n".join(content["traceback"])) if kind == "error" else data.get("text/plain", "")
        return Output(cell, kind, text, data, content.get("transient", {}).get("display_id", ""))


_SHOWN = ("stream", "display_data", "execute_result", "error", "update_display_data", "clear_output")


def _is_idle(message: dict[str, Any], message_id: str) -> bool:
    return (
        message["msg_type"] == "status"
        and message["content"]["execution_state"] == "idle"
        and message["parent_header"].get("msg_id") == message_id
    )


def _plain(text: str) -> str:
    import re

    return re.sub(r"\x1b\[[0-9;]*m", "", text)


@contextmanager
def running_kernel(folder: Path, **environment: str) -> Iterator[Kernel]:
    """A kernel for a while."""
    kernel = Kernel(folder, environment)
    try:
        yield kernel
    finally:
        kernel.stop()
