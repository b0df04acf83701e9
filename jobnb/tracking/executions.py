"""`Executions`: the jobs of this process by their ids. Unfinished ones, ended ones that somebody holds, failed ones."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobnb.tracking.execution import Execution

KEPT_FAILURES = 1000
"""How many failed jobs keep their function and arguments, for retries that are asked for elsewhere."""
TIDY_AFTER = 10_000


class Executions:
    """The jobs of one runtime.

    Attributes:
        active: those that have not ended.
        running: those whose function runs.
    """

    def __init__(self) -> None:
        self.active: dict[str, Execution] = {}
        self.running: set[Execution] = set()
        # not a WeakValueDictionary: its references cost five times as much, for removing themselves at once
        self._known: dict[str, weakref.ref[Execution]] = {}
        self._tidy_at = TIDY_AFTER
        self._failed: dict[str, Execution] = {}

    def add(self, execution: Execution) -> None:
        """Take a job in."""
        self.active[execution.job_id] = execution
        self._known[execution.job_id] = weakref.ref(execution)
        if len(self._known) > self._tidy_at:
            self._tidy()

    def ended(self, execution: Execution) -> None:
        """It has ended; whoever holds it keeps it findable."""
        self.running.discard(execution)
        self.active.pop(execution.job_id, None)
        if execution.status == "failed":
            self._failed[execution.job_id] = execution
            if len(self._failed) > KEPT_FAILURES:
                self._failed.pop(next(iter(self._failed)), None)

    def find(self, job_id: str) -> Execution | None:
        """The job, if it runs or ran here and is still in memory."""
        reference = self._known.get(job_id)
        return None if reference is None else reference()

    def owned_by(self, owner: object) -> Iterator[Execution]:
        """The unfinished jobs that one service started."""
        return (execution for execution in list(self.active.values()) if execution.owner is owner)

    def _tidy(self) -> None:
        # in place: other threads add jobs meanwhile
        for job_id in [job_id for job_id, one in list(self._known.items()) if one() is None]:
            self._known.pop(job_id, None)
        self._tidy_at = max(TIDY_AFTER, 2 * len(self._known))
