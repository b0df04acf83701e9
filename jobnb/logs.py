"""The lines of a job's log: in hand, as `JobLogs`, and as they come."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from jobnb.models import LogLine
from jobnb.waiting import pauses

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class JobLogs(list[LogLine]):
    """The lines of a job's log; shows itself as the text that was printed."""

    def __str__(self) -> str:
        return "\n".join(line.line for line in self)

    def __repr__(self) -> str:
        return str(self) or "(nothing was printed)"


def lines_as_they_come(look: Callable[[int], tuple[list[LogLine], bool]]) -> Iterator[LogLine]:
    """Yield a job's lines until it has ended.

    Args:
        look: given the number of the last line that was seen, gives those after it, and whether the job had ended
            before it looked for them.
    """
    seen, pause = 0, pauses()
    while True:
        lines, had_ended = look(seen)
        yield from lines
        if lines:
            seen, pause = lines[-1].n, pauses()
        elif had_ended:
            return
        else:
            time.sleep(next(pause))
