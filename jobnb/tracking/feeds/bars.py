"""`Bar`: one bar of a job. The outermost unfinished one is the job's fraction; its message names all that move.

What a function says itself, with `progress` or `track`, wins: from then on its job listens to no bar.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from jobnb.tracking.execution import current

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobnb.tracking.execution import Execution

_changing = threading.Lock()

NESTED = 3
"""How many bars, one inside the other, are named in the message."""

followed = False
"""Whether bars are followed at all in this process."""


class Bar:
    """One bar.

    Attributes:
        label: what is being done.
        done: steps so far.
        total: steps in all; None if nobody knows.
        note: what else there is to say: the loss, a rate.
        written: how numbers of this bar are written.
    """

    label = ""
    done: float = 0
    total: float | None = None
    note = ""

    def __init__(self, execution: Execution, written: Callable[[float], str] | None = None) -> None:
        self._execution = execution
        self.written = written or number
        self.is_closed = False
        with _changing:
            execution.bars = (*execution.bars, self)

    @property
    def is_outermost(self) -> bool:
        """True if no bar around it is open."""
        return self._execution.bars[:1] == (self,)

    @property
    def is_finished(self) -> bool:
        """True if all its steps are done."""
        return bool(self.total) and self.done >= (self.total or 0)

    def tell(self) -> None:
        """Make what the bars say the job's progress."""
        execution = self._execution
        if execution.has_spoken or execution.is_final or self.is_closed:
            return
        bars = execution.bars
        moving = [bar for bar in bars if not bar.is_finished] or [bars[0]]
        first = next((bar for bar in moving if bar.total), moving[0])
        execution.fraction = min(1.0, max(0.0, first.done / first.total)) if first.total else None
        execution.message = " · ".join(bar.text for bar in moving[:NESTED])

    @property
    def text(self) -> str:
        """What it says, in a few words: `epoch 3/10, loss=0.21`."""
        count = self.written(self.done) + (f"/{self.written(self.total)}" if self.total else "")
        return ", ".join(filter(None, (f"{self.label} {count}".lstrip(), self.note)))

    def close(self) -> None:
        """It is over; what it told last stays."""
        self.is_closed = True
        with _changing:
            self._execution.bars = tuple(bar for bar in self._execution.bars if bar is not self)

    def log(self, line: str) -> None:
        """Leave a last line in the job's log, as the bar would have on a terminal."""
        self._execution.write("stderr", f"{line}\n")

    def check_stop(self) -> None:
        """Stop here if the job is to stop and this is its own thread; a thread of the library's would only die.

        Raises:
            StopRequested: it is to stop.
        """
        if threading.get_ident() == self._execution.thread:
            self._execution.check_stop()


def current_job() -> Execution | None:
    """The job whose bars are to be followed here; None outside of jobs."""
    return current.get() if followed else None


def number(value: float) -> str:
    """A count as it is read: `1,234,567`, `0.25`."""
    return f"{value:,.0f}" if value == int(value) else f"{value:,.6g}"
