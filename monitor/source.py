"""`Source`: what the terminal program asks for, and from whom it does not matter.

`monitor.postgres.PostgresSource` is the real one; tests use one that is made of Python lists.

All methods except `link` and `now` block: call them from worker threads, several at a time if you like. Each has a
deadline and comes back. They raise `JobnbError` and nothing else: `DatabaseUnavailable` while the link is down (at
once, without waiting, until the next attempt is due), other errors when the server refuses. None of them keeps a
transaction open, and none needs to be called in a certain order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from uuid import UUID

    from monitor.model import (
        Action,
        Completion,
        Detail,
        ErrorReport,
        Filter,
        JobRow,
        KernelRow,
        LinkState,
        LogPage,
        Mark,
        Outcome,
        Overview,
        Plan,
        Progress,
        Spot,
        Survey,
        Target,
        TypeReport,
        View,
        Window,
    )


class Source(Protocol):
    """Everything the monitor shows and does."""

    # -- the link

    def link(self) -> LinkState:
        """How the link is doing now. Never blocks; cheap enough for every frame."""
        ...

    def now(self) -> datetime:
        """The server's time, as well as it is known here. Never blocks."""
        ...

    def reconnect(self) -> None:
        """Let the next call try at once, whatever was to be waited for."""
        ...

    def close(self) -> None:
        """Give up all connections; a call that is under way fails soon. Safe to call twice."""
        ...

    # -- the list of jobs

    def window(self, view: View, first: int, count: int, anchor: Mark | None = None) -> Window:
        """Read `count` lines of a view from line `first` on; the cheapest call there is, made every tick.

        With an anchor (`JobRow.mark` of the line that is to stay where it is) the rows begin at that place, whatever
        has come or gone above it, also if that job was deleted or left the filter; `first` is then passed through.
        Without one, the line is found by counting from the nearest place that is known, which is exact. Other orders
        than `created` have no anchors: they change only now and then.

        A line beyond the end gives the last `count` lines of the view instead, with their right `first`: that is also
        how to jump to the end (`first` = a very large number).
        """
        ...

    def survey(self, view: View) -> Survey:
        """Do one step (some ten milliseconds) of what makes the view's numbers exact and its jumps short.

        It counts the view and notes places on the way; for a filter that no index answers it searches on, and what it
        finds appears in `window`. Call it in a worker until it is complete; call it again now and then, as a complete
        survey of long ago starts anew when that is worth it, and costs nothing when it is not.
        """
        ...

    def locate(self, view: View, job_id: UUID) -> Spot | None:
        """Find a job's line; None if the view does not have it. A parked view has nothing above its head."""
        ...

    def next_failure(self, view: View, start: Mark | None, *, older: bool) -> Spot | None:
        """Find the nearest failed job below (`older`) or above a place, the place itself excluded; None if none.

        Args:
            view: the list to look in.
            start: where to start; None for the top (or, upwards, the bottom).
            older: look downwards.
        """
        ...

    def rows(self, job_ids: Sequence[UUID]) -> dict[UUID, JobRow]:
        """Read some jobs, wherever they are; those that are gone are left out."""
        ...

    def find(self, digits: str) -> list[JobRow]:
        """Find the jobs whose id begins or ends with these hex digits (a whole UUID will do), at most ten.

        Raises:
            InvalidInput: no hex digits.
        """
        ...

    # -- other screens

    def overview(self) -> Overview:
        """Read the numbers of the header: about once a second."""
        ...

    def detail(self, job_id: UUID) -> Detail | None:
        """Read everything about one job; None if there is no such job. To see whether it changed: `rows`."""
        ...

    def log(self, job_id: UUID, *, after: int | None = None, before: int | None = None, limit: int = 500) -> LogPage:
        """Read some lines of a job's log.

        Args:
            job_id: which job; an unknown one has no lines.
            after: the lines that follow this number. To follow a log: the last number that was read.
            before: the lines that precede this number. Neither of the two: the last lines.
            limit: how many at most.
        """
        ...

    def errors(self, wanted: Filter | None = None) -> ErrorReport:
        """Group the newest failed jobs (of a filter) by what went wrong: about every two seconds while on screen."""
        ...

    def types(self, wanted: Filter | None = None) -> TypeReport:
        """Read how each type of job is doing: about every two seconds while on screen."""
        ...

    def kernels(self) -> list[KernelRow]:
        """Read the processes that run jobs, those with unfinished jobs first, then the newest; at most 200."""
        ...

    def complete(self, text: str, cursor: int) -> list[Completion]:
        """Ways to go on with a filter that is being typed, best first, at most 20; empty if there is none.

        Knows the language without the database; job types and kernels are asked for, and left out while it is away.
        """
        ...

    # -- actions

    def plan(self, action: Action, target: Target) -> Plan:
        """Look what an action would do, without doing it."""
        ...

    def execute(self, plan: Plan, progress: Callable[[Progress], bool] | None = None) -> Outcome:
        """Do what was planned, in batches that each commit by themselves.

        Args:
            plan: from `plan`; one that is `refused` is refused here too.
            progress: called after each batch, in this thread; False stops before the next one.

        Raises:
            InvalidInput: the plan is refused.
            JobnbError: nothing was done. Whatever ends it later is told in the outcome instead.
        """
        ...

    def undo(self, outcome: Outcome) -> Outcome:
        """Take back what can still be taken back, and tell what could not.

        Raises:
            InvalidInput: nothing of that outcome can be undone (any more).
        """
        ...
