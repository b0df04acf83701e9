"""`Shell`: the IPython shell this process is, and what it can show; what is asked of IPython and ipykernel is here."""

from __future__ import annotations

import re
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Shell:
    """One IPython shell, in a terminal or in a kernel.

    Attributes:
        ipython: the shell itself.
        is_kernel: True where messages go to a front end: a notebook, a console.
    """

    def __init__(self, ipython: Any) -> None:
        self.ipython = ipython
        # a kernel that is not ipykernel's is treated as a terminal
        self.is_kernel = hasattr(ipython, "kernel") and hasattr(ipython.display_pub, "register_hook")
        # the ones of the kernel: %%capture puts others in their place while a cell runs
        self._publisher = ipython.display_pub
        self._streams: dict[str, Any] = {}
        for name in ("stdout", "stderr"):
            self.stream(name)

    def stream(self, name: str) -> Any:
        """The kernel's own `stdout` or `stderr`, whatever `sys` has at the moment; None in a terminal."""
        if name not in self._streams and self.is_kernel:
            found = getattr(sys, name)
            while not hasattr(found, "set_parent") or hasattr(found, "stream"):
                if (found := getattr(found, "stream", None)) is None:
                    return None  # redirected just now: found at another time
            self._streams[name] = found
        return self._streams.get(name)

    @property
    def cell(self) -> dict[str, Any]:
        """The header of the request that this code belongs to; a job's code belongs to the cell that submitted it."""
        if not self.is_kernel:
            return {"msg_id": f"In [{self.ipython.execution_count}]"}
        # before ipykernel 7 the publisher's is the one of the last cell, whoever asks
        knows_contexts = isinstance(getattr(type(self._publisher), "parent_header", None), property)
        source = self._publisher if knows_contexts else self.stream("stdout")
        header: dict[str, Any] = {} if source is None else source.parent_header
        return header

    @property
    def has_widgets(self) -> bool:
        """True if the front end that runs this cell is known to show widgets.

        JupyterLab, Notebook and VS Code name the cell in their requests. Tools that run whole notebooks do not; what
        they store has to be complete without a browser.
        """
        if not self.is_kernel:
            return False
        request: dict[str, Any] = self.ipython.kernel.get_parent("shell")
        return "cellId" in (request.get("metadata") or {})

    def display(self, data: dict[str, Any], display_id: str | None = None) -> None:
        """Show `data` under the cell that this code belongs to."""
        transient = {"display_id": display_id} if display_id else {}
        if threading.current_thread() is threading.main_thread():
            # as display() does: %%capture may have put another publisher in place
            self.ipython.display_pub.publish(data, transient=transient)
            return
        with self.in_cell(self.cell):
            self._publisher.publish(data, transient=transient)

    def name_cells(self, traceback: str) -> str:
        """A traceback with `Cell In[3]` in the place of the name of the file that the cell is to Python."""

        def cell(match: re.Match[str]) -> str:
            kind, name = self.ipython.compile.format_code_name(match[1]) or ("", "")
            return f"{kind} {name}" if kind == "Cell" else match[0]

        return re.sub(r'File "([^"]+)"', cell, traceback)

    def send(self, message: dict[str, Any]) -> None:
        """Send a message that a hook was given, at once."""
        self._publisher.session.send(self._publisher.pub_socket, message, ident=self._publisher.topic)

    def update(self, data: dict[str, Any], display_id: str, cell: dict[str, Any] | None = None) -> None:
        """Replace what is shown under `display_id`.

        Args:
            data: by mime type.
            display_id: of what was shown.
            cell: the header of the cell the message belongs to; None for the one that runs.
        """
        with self.in_cell(cell):
            self._publisher.publish(data, transient={"display_id": display_id}, update=True)

    @contextmanager
    def in_cell(self, cell: dict[str, Any] | None) -> Iterator[None]:
        """Within it, what this thread displays belongs to a given cell; before ipykernel 7 it goes to the last one."""

        def readdress(message: dict[str, Any]) -> dict[str, Any]:
            return {**message, "parent_header": cell}

        if not cell or not self.is_kernel:
            yield
            return
        with self.hooked(readdress):
            yield

    @contextmanager
    def hooked(self, hook: Callable[[dict[str, Any]], dict[str, Any] | None]) -> Iterator[None]:
        """Within it, `hook` sees every message that this thread displays, and may change or swallow it."""
        self._publisher.register_hook(hook)
        try:
            yield
        finally:
            self._publisher.unregister_hook(hook)
