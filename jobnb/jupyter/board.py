"""`Board`: the jobs of one run of one cell, and what is to be seen of them: a line each, or one table for many."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import inf
from typing import TYPE_CHECKING, Any

from jobnb.display import html, text
from jobnb.display.overview import ROWS, Overview, overview_html, overview_text, rank

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from uuid import UUID

    from jobnb.handle import JobHandle
    from jobnb.jupyter.views import View
    from jobnb.models import Job

FEW = 3
"""So many jobs get a line each; more are one table."""


@dataclass
class Line:
    """A job on a board. Its handle is let go at the end: it would keep the job's value in memory.

    Attributes:
        handle: None once the job has ended.
        seen: the job as it was last looked at.
        call: its arguments in words.
    """

    handle: JobHandle[Any] | None
    seen: Job
    call: str = field(default="")

    def look(self) -> None:
        """Look at the job anew."""
        if self.handle is not None:
            self.seen = self.handle.job
            if self.seen.status.is_final:
                self.handle = None

    def promise(self) -> str:
        """What is true of the job whatever becomes of it."""
        name, short = self.seen.name or self.seen.job_type, self.seen.short_id
        at = self.seen.created_at or datetime.now(UTC)
        return f"job {name} was submitted at {at.astimezone():%H:%M:%S}; jobnb.get('{short}') tells how it is"


class Board:
    """What one cell shows of its jobs. One thread at a time looks and shows; `lock` sees to it.

    Args:
        cell: the header of the request that ran the cell.
        view: where it is seen.
    """

    def __init__(self, cell: dict[str, Any], view: View) -> None:
        self.cell, self.view, self.lock = cell, view, threading.RLock()
        self.lines: list[Line] = []
        self.open: list[JobHandle[Any]] = []
        self.has_lines = True
        self.over_since = 0.0
        self.is_asked_to_stop = False
        self._known: set[UUID] = set()
        self._names: Counter[str] = Counter()
        self._ended: Counter[str] = Counter()
        self._kept: list[tuple[Job, str]] = []
        self._fraction = 0.0
        self._began, self._ended_at = inf, 0.0

    def add(self, handles: Sequence[JobHandle[Any]], *, as_table: bool = False) -> list[JobHandle[Any]]:
        """Take jobs in; returns those that were not here before."""
        with self.lock:
            new = [handle for handle in handles if handle.job_id not in self._known]
            self._known.update(handle.job_id for handle in new)
            self.open += new
            self.has_lines = self.has_lines and not as_table and len(self._known) <= FEW
            if self.has_lines:
                self.lines += [Line(handle, handle.job, handle.call) for handle in new]
            self._names.update(handle.name for handle in new)
            return new

    def has_all(self, handles: Sequence[JobHandle[Any]]) -> bool:
        """True if all of them are shown here."""
        return all(handle.job_id in self._known for handle in handles)

    @property
    def is_over(self) -> bool:
        """True once all have ended, as far as was looked."""
        return not self.open

    def look(self) -> None:
        """Look at all that have not ended yet."""
        with self.lock:
            for line in self.lines:
                line.look()
            still: list[JobHandle[Any]] = []
            whole = 0.0
            for handle in self.open:
                if handle.state in ("scheduled", "in_progress"):
                    still.append(handle)
                    whole += _progress(handle)
                else:
                    self._take_end(handle)
            self.open = still
            total = len(self._known)
            self._fraction = (total - len(still) + whole) / max(1, total)
            if still:
                self.over_since = 0.0
            elif not self.over_since:
                self.over_since = time.monotonic()

    def html(self) -> str:
        """All of it as static HTML."""
        with self.lock:
            if self.has_lines:
                return "".join(html.job_card(line.seen) for line in self.lines)
            return overview_html(self.overview())

    def text(self) -> str:
        """All of it as text."""
        with self.lock:
            if self.has_lines:
                return "\n".join(text.job_line(line.seen) for line in self.lines)
            return overview_text(self.overview())

    def promise(self) -> str:
        """What is true whatever becomes of the jobs."""
        with self.lock:
            if self.has_lines:
                return "; ".join(line.promise() for line in self.lines)
            return f"{len(self._known):,} jobs {self._name()} were submitted here; jobnb.jobs() tells how they are"

    def overview(self) -> Overview:
        """What a table shows of them."""
        with self.lock:
            counts = Counter(self._ended)
            counts.update(handle.state for handle in self.open)
            rows = [(handle.job, handle.call) for handle in _most_interesting(self.open)]
            rows = sorted([*self._kept, *rows], key=lambda row: rank(row[0].state))[:ROWS]
            for handle in self.open:
                if (began := handle.span[0]) is not None:
                    self._began = min(began, self._began)
            ended = datetime.fromtimestamp(self._ended_at, UTC) if self.is_over and self._ended_at else None
            until = self._ended_at if ended is not None else time.time()
            elapsed = max(0.0, until - self._began) if self._began < inf else None
            return Overview(self._name(), counts, rows, self._fraction, elapsed, ended)

    def _name(self) -> str:
        names = list(self._names)
        return ", ".join(names[:2]) + ("…" if len(names) > 2 else "")

    def _take_end(self, handle: JobHandle[Any]) -> None:
        self._ended[handle.state] += 1
        began, ended = handle.span
        self._began, self._ended_at = min(began or inf, self._began), max(ended or 0.0, self._ended_at)
        if len(self._kept) < ROWS or rank(handle.state) < rank(self._kept[-1][0].state):
            kept = [*self._kept, (handle.job, handle.call)]
            self._kept = sorted(kept, key=lambda row: rank(row[0].state))[:ROWS]


def _progress(handle: JobHandle[Any]) -> float:
    # asking a handle of elsewhere would read its row
    return (handle.progress if handle.is_here else handle.job.progress) or 0.0


def _most_interesting(handles: Iterable[JobHandle[Any]]) -> list[JobHandle[Any]]:
    running: list[JobHandle[Any]] = []
    waiting: list[JobHandle[Any]] = []
    for handle in handles:
        if handle.state == "in_progress":
            running.append(handle)
        elif len(waiting) < ROWS:
            waiting.append(handle)
        if len(running) >= ROWS:
            break
    return (running + waiting)[:ROWS]
