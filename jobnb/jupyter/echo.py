"""What jobs print, shown under the cells that submitted them: the beginning of it; the log has all."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobnb.jupyter.shell import Shell
    from jobnb.tracking.execution import Execution

LINES = 200
"""Lines of one job that are shown, about; every character counts a little too."""
CELL_LINES = 1_000
"""Lines of all jobs of one cell that are shown, about."""
CHARACTERS = 500
"""So many characters count as one line more."""
_CELLS = 200
"""How many cells are remembered."""


class Echo:
    """Shows what a job prints on the kernel's own streams, whatever stands in their place at the moment.

    `%%capture` and `redirect_stdout` in a cell put other streams in place for the whole process: a job that prints
    meanwhile is not that cell's business. Code in the main thread, such as a call of a decorated function, prints as
    ever, and so do jobs in a terminal.
    """

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._cells: dict[str, float] = {}

    def __call__(self, execution: Execution, name: str, text: str) -> bool:
        """Show `text` or leave it out; False if it is to be printed as ever."""
        stream = self._shell.stream(name)
        if stream is None or threading.current_thread() is threading.main_thread():
            return False
        if execution.echoed > LINES:
            return True
        cell = self._shell.cell.get("msg_id", "")
        left = min(LINES - execution.echoed, CELL_LINES - self._cells.get(cell, 0.0))
        shown = text
        if _weight(text) > left:
            short = execution.job_id[-8:]
            pointer = f"… job {short} prints more than is shown here: jobnb.get('{short}').logs() has it\n"
            shown, execution.echoed = f"{_beginning(text, left)}{pointer}", LINES + 1.0
        else:
            execution.echoed += _weight(text)
        self._count(cell, _weight(shown))
        # the class's own: IPython replaces the attribute while a cell runs, to remember what the cell prints
        type(stream).write(stream, shown)
        return True

    def _count(self, cell: str, weight: float) -> None:
        if cell not in self._cells and len(self._cells) >= _CELLS:
            self._cells.pop(next(iter(self._cells)))
        self._cells[cell] = self._cells.get(cell, 0.0) + weight


def _weight(text: str) -> float:
    return text.count("\n") + len(text) / CHARACTERS


def _beginning(text: str, lines: float) -> str:
    """So much of `text` as weighs `lines`, ended by a line end."""
    whole = text[: max(0, int(lines * CHARACTERS))].split("\n")[: max(0, int(lines))]
    return "".join(f"{line}\n" for line in whole)
