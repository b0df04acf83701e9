"""A list of jobs: what it shows, some of its lines, how far it was searched."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from jobnb.db.terms import EVERYTHING, Filter

if TYPE_CHECKING:
    from datetime import datetime

    from jobnb.db.rows import JobRow, Mark


class Count(NamedTuple):
    """A number of jobs, and whether it is exact.

    Attributes:
        value: at least 0.
        exact: False for an estimate, shown with `≈`.
    """

    value: int
    exact: bool = True

    def __str__(self) -> str:
        return f"{self.value:,}" if self.exact else f"≈{self.value:,}"


class Sort(NamedTuple):
    """The order of a list.

    Attributes:
        key: `created`, `finished`, `took`, `waited`, `type`, `name`, `state`, `progress` or `kernel`. Only `created`
            orders all jobs; the others order the newest 10,000 of the filter, and `Window.note` says so.
        descending: newest, longest, last letter first. Jobs without a value for the key come last in both directions.
    """

    key: str = "created"
    descending: bool = True


NEWEST = Sort()
SORT_KEYS = ("created", "finished", "took", "waited", "type", "name", "state", "progress", "kernel")


@dataclass(frozen=True)
class View:
    """Which jobs a list shows, in which order, and whether it follows new ones.

    Lines of a list are counted from 0, its top. A view that follows has the newest job on line 0, so its lines change
    hands when jobs come. A parked view has its head on line 0, whatever comes; new jobs are only counted.

    Attributes:
        filter: which jobs.
        sort: their order. A parked view is always one by `created`; others have no head.
        head: the place that line 0 is parked at; None to follow.
    """

    filter: Filter = EVERYTHING
    sort: Sort = NEWEST
    head: Mark | None = None

    @property
    def is_following(self) -> bool:
        """True if new jobs appear by themselves."""
        return self.head is None

    def parked(self, head: Mark | None) -> View:
        """This view, held at a head (`Window.head` of the last one shown); it stays as it is in any other order."""
        return replace(self, head=head) if self.sort == NEWEST else self

    def following(self) -> View:
        """This view, following new jobs."""
        return replace(self, head=None)


class Search(NamedTuple):
    """How far a search has come, for filters that no index answers (`Filter.is_indexed` is False).

    Attributes:
        back_to: jobs created after this were looked at; None before the first step.
        fraction: of all jobs, in [0, 1].
        complete: True if all were looked at, or as many were found as are kept.
        found: how many fit so far.
    """

    back_to: datetime | None
    fraction: float
    complete: bool
    found: int


class Window(NamedTuple):
    """Some adjacent lines of a view.

    Attributes:
        rows: the jobs, top line first; fewer than asked for at the end of the list.
        first: the line of the first row.
        total: how many jobs the view has, those newer than a parked head not counted.
        newer: how many are newer than the parked head, at most 1,000 (then not exact); 0 when following.
        head: where line 0 is now: park the view there to hold it. None if the view is empty, or in another order.
        as_of: the server's time when this was read.
        search: how far the search has come; None where an index answers.
        note: what a person should know about these lines (`sorted: newest 10,000`); empty if nothing.
        seconds: what reading it took.
    """

    rows: tuple[JobRow, ...]
    first: int
    total: Count
    newer: Count
    head: Mark | None
    as_of: datetime
    search: Search | None = None
    note: str = ""
    seconds: float = 0.0


class Survey(NamedTuple):
    """How far `Source.survey` has come with a view.

    Attributes:
        complete: True if there is nothing left to do for now.
        total: how many jobs were counted or found so far.
        search: as in `Window`.
    """

    complete: bool
    total: Count
    search: Search | None = None


class Spot(NamedTuple):
    """Where a job is in a view.

    Attributes:
        line: its line.
        row: the job.
    """

    line: int
    row: JobRow
