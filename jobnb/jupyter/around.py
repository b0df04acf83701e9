"""What is around the function of a job in a notebook: what it displays goes under its cell, its figures are its own."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from jobnb.jupyter import figures

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobnb.jupyter.shell import Shell
    from jobnb.tracking.execution import Execution

DISPLAYS = 100
"""How many outputs one job may display; a front end chokes on thousands."""


class Around:
    """Calls the function of a job, in the job's own thread.

    Args:
        shell: the kernel's.
        cleared: called with the header of a cell whose output a job has cleared, cards included.
    """

    def __init__(self, shell: Shell, cleared: Callable[[dict[str, Any]], None]) -> None:
        self._shell, self._cleared = shell, cleared

    def __call__(self, execution: Execution, call: Callable[[], Any]) -> Any:
        """Run `call` as the job."""
        if threading.current_thread() is threading.main_thread():
            return call()  # the call of a decorated function: the running cell's own business
        with ExitStack() as stack:
            displayed = _Displayed(self._shell, execution, self._cleared)
            stack.enter_context(self._shell.hooked(displayed))
            stack.enter_context(figures.own_figures())
            return call()


class _Displayed:
    """Sees the messages of one job's `display`, `update_display` and `clear_output`."""

    def __init__(self, shell: Shell, execution: Execution, cleared: Callable[[dict[str, Any]], None]) -> None:
        self._shell, self._execution, self._cleared = shell, execution, cleared
        self._cell = shell.cell
        self._count = 0
        self._is_ours = False

    def __call__(self, message: dict[str, Any]) -> dict[str, Any] | None:
        # before ipykernel 7 the publisher would send it to the cell that ran last
        message = {**message, "parent_header": self._cell}
        kind = message["header"]["msg_type"]
        if self._is_ours or kind == "update_display_data":
            return message
        if kind == "display_data":
            return self._display(message)
        self._clear(message)
        return None

    def _display(self, message: dict[str, Any]) -> dict[str, Any] | None:
        self._count += 1
        if self._count > DISPLAYS:
            return None
        self._execution.write("display", f"{_words(message)}\n")
        if self._count == DISPLAYS:
            self._execution.remark(f"displayed {DISPLAYS} outputs; further ones are not shown")
        return message

    def _clear(self, message: dict[str, Any]) -> None:
        """The card is an output of the same cell, and would be gone: show it again, as the first thing."""
        self._shell.send(message)
        self._is_ours = True
        try:
            self._cleared(self._cell)
        finally:
            self._is_ours = False


def _words(message: dict[str, Any]) -> str:
    data = message["content"].get("data", {})
    return str(data.get("text/plain") or ", ".join(data))
