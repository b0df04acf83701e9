"""What can be done to jobs: planned, under way, done."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from uuid import UUID

    from jobnb.db.rows import JobRow, Mark
    from jobnb.db.terms import Filter
    from monitor.model.lists import Count


class Action(StrEnum):
    """What can be done to jobs from here."""

    CANCEL = "cancel"
    FORCE = "force"
    """Cancel by force: an exception is raised inside code that does not listen."""
    RETRY = "retry"
    DELETE = "delete"


@dataclass(frozen=True)
class Target:
    """The jobs that an action is about: some ids, or all that a filter finds when the plan is made.

    Attributes:
        job_ids: which jobs; empty if a filter says it.
        filter: which jobs, where there are no ids.
    """

    job_ids: tuple[UUID, ...] = ()
    filter: Filter | None = None


@dataclass(frozen=True)
class Plan:
    """What an action would do; nothing has happened yet.

    Attributes:
        action: what.
        target: to which jobs.
        count: how many jobs it would change.
        skipped: how many jobs of the target it would leave alone, by reason.
        sample: some of the jobs it would change, newest first, at most five.
        sql: what would be sent, for psql.
        warnings: sentences that a person should read first.
        refused: why it can't be done at all (read-only, a missing privilege); None if it can.
        undo: what `Source.undo` could do afterwards, in a sentence; empty if nothing.
        until: jobs created later are not touched.
    """

    action: Action
    target: Target
    count: Count
    skipped: dict[str, int]
    sample: tuple[JobRow, ...]
    sql: str
    warnings: tuple[str, ...]
    refused: str | None
    undo: str
    until: Mark | None = None


class Progress(NamedTuple):
    """How far an action has come.

    Attributes:
        changed: jobs changed so far.
        looked_at: jobs of the target looked at so far.
        total: about how many there are.
    """

    changed: int
    looked_at: int
    total: int


class JobOutcome(NamedTuple):
    """What became of one job of an action.

    Attributes:
        job_id: which.
        changed: True if something was done to it.
        words: what, or why nothing was.
    """

    job_id: UUID
    changed: bool
    words: str


@dataclass(frozen=True)
class Outcome:
    """What an action, or undoing one, really did.

    Attributes:
        action: what it was.
        changed: how many jobs it changed.
        tally: how many jobs by what became of them, the commonest first.
        jobs: what became of each, at most 1,000.
        stopped: True if it was stopped before its end.
        error: what ended it early, in a sentence; None if nothing did. What is counted has happened all the same.
        sql: what was sent, for psql.
        undo_token: give this outcome to `Source.undo` while it is not None.
        seconds: what it took.
    """

    action: Action
    changed: int
    tally: dict[str, int]
    jobs: tuple[JobOutcome, ...]
    stopped: bool = False
    error: str | None = None
    sql: str = ""
    undo_token: int | None = None
    seconds: float = 0.0

    @property
    def words(self) -> str:
        """All of it in one line."""
        told = " · ".join(f"{count:,} {words}" for words, count in self.tally.items()) or "nothing to do"
        end = f" · then: {self.error}" if self.error else " · stopped before its end" if self.stopped else ""
        return f"{self.action.value}: {told}{end}"
