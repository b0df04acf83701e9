"""The lines of one job, bounded: the first ones and the newest ones are kept, and the gap between them is told."""

from __future__ import annotations

import json
import threading
from collections import deque
from datetime import UTC, datetime
from typing import NamedTuple

LINE_LIMIT = 8_000
"""Characters of a line that are kept."""
TAIL = 1_000
"""How many of the newest lines are kept beyond the limit."""


class Line(NamedTuple):
    """One line, as it goes into job_logs."""

    n: int
    at: datetime
    stream: str
    text: str


class JobLog:
    """Collects lines from any thread until they are drained.

    Args:
        limit: how many lines are passed on as they come; of those behind, the last `TAIL` follow at the end.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        # a destructor that runs while a line is added may print one itself
        self._lock = threading.RLock()
        self._open: dict[str, str] = {}
        self._ready: list[Line] = []
        self._tail: deque[Line] = deque(maxlen=TAIL)
        self._count = 0
        self.is_closed = False

    def write(self, stream: str, text: str) -> None:
        """Add text as it is printed; whole lines of it are ready, the rest waits for its line end."""
        with self._lock:
            if self.is_closed:
                return
            *lines, rest = (self._open.get(stream, "") + text).split("\n")
            self._open[stream] = rest if len(rest) < LINE_LIMIT * 2 else rest[:LINE_LIMIT]
            for line in lines:
                self._add(stream, line)

    def drain(self) -> list[Line]:
        """The lines that are ready and were not drained before."""
        with self._lock:
            lines, self._ready = self._ready, []
            return lines

    def close(self) -> list[Line]:
        """Drain everything, unfinished lines and the tail included; later text is not the job's any more."""
        with self._lock:
            for stream, rest in self._open.items():
                if rest:
                    self._add(stream, rest)
            self.is_closed = True
            left_out = self._count - self._limit - len(self._tail)
            if left_out > 0:
                first = self._tail[0]
                self._ready.append(
                    first._replace(n=first.n - 1, stream="jobnb", text=f"… {left_out:,} lines were left out here …")
                )
            lines, self._ready = [*self._ready, *self._tail], []
            self._tail.clear()
            return lines

    def _add(self, stream: str, text: str) -> None:
        # a carriage return starts the line over, as on a terminal: a progress bar leaves its last state
        text = text.rstrip("\r").rpartition("\r")[2]
        if len(text) > LINE_LIMIT:
            text = f"{text[:LINE_LIMIT]} … ({len(text):,} characters)"
        self._count += 1
        line = Line(self._count, datetime.now(UTC), stream, text)
        (self._ready if self._count <= self._limit else self._tail).append(line)


def as_members(job_id: str, lines: list[Line]) -> str:
    """The lines as rows of job_logs, in JSON, ready for an event."""
    return ",".join(
        json.dumps(
            {
                "job_id": job_id,
                "n": line.n,
                "at": line.at.isoformat(),
                "stream": line.stream,
                "line": clean(line.text),
            }
        )
        for line in lines
    )


def clean(text: str) -> str:
    """`text` as PostgreSQL can store it: NUL characters and half surrogates become U+FFFD."""
    if text.isascii():
        return text.replace("\x00", "\ufffd")
    return text.replace("\x00", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
