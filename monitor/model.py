"""What the monitor shows, as plain immutable values: nothing here reads a database or draws.

Texts of jobs are as they are stored, whatever is in them: whoever shows one passes it through `monitor.terminal`
first. Times are aware, in UTC, and the server's: compare them with `Source.now()`, never with this machine's clock.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from jobnb.db.rows import (
    ACTIVE_STATES,
    FAILED_STATES,
    STATES,
    ErrorGroup,
    JobRow,
    KernelRow,
    LogRow,
    Mark,
    TypeRow,
    ValueRow,
)
from jobnb.db.terms import EVERYTHING, Filter, Term

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from jobnb.models import Job

__all__ = [
    "ACTIVE_STATES",
    "EVERYTHING",
    "FAILED_STATES",
    "NEWEST",
    "STATES",
    "Access",
    "Action",
    "Bucket",
    "Completion",
    "Count",
    "Detail",
    "ErrorGroup",
    "ErrorReport",
    "Filter",
    "JobOutcome",
    "JobRow",
    "KernelRow",
    "LinkState",
    "LinkStatus",
    "LogPage",
    "LogRow",
    "Mark",
    "Outcome",
    "Overview",
    "Plan",
    "Progress",
    "Search",
    "Server",
    "Sort",
    "Spot",
    "Survey",
    "Target",
    "Term",
    "TypeReport",
    "TypeRow",
    "ValueRow",
    "View",
    "Window",
]


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


# -- the list of jobs


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


# -- the header


class Bucket(NamedTuple):
    """What ended in one second.

    Attributes:
        at: the second's beginning.
        done: how many jobs ended well.
        failed: how many did not.
    """

    at: datetime
    done: int
    failed: int


@dataclass(frozen=True)
class Overview:
    """The state of everything, in a few numbers.

    Attributes:
        counts: how many jobs are in each of `STATES`.
        total: how many there are.
        buckets: what ended in each of the last 120 whole seconds, oldest first.
        newest: the newest job's id; None in an empty table.
        oldest_queued: when the job was created that waits longest; None if none waits.
        kernels: how many processes have unfinished jobs.
        silent: how many of those gave no sign of life for 30 s.
        as_of: the server's time when this was read.
    """

    counts: dict[str, Count]
    total: Count
    buckets: tuple[Bucket, ...]
    newest: UUID | None
    oldest_queued: datetime | None
    kernels: int
    silent: int
    as_of: datetime

    def per_second(self, seconds: int = 10) -> float:
        """How many jobs ended per second, lately."""
        latest = self.buckets[-seconds:]
        return sum(bucket.done + bucket.failed for bucket in latest) / max(1, len(latest))

    @property
    def drained_in(self) -> float | None:
        """Seconds until the queue is empty at the rate of the last minute; None if nothing waits or nothing ends."""
        rate = self.per_second(60)
        queued = self.counts["scheduled"].value + self.counts["in_progress"].value
        return queued / rate if queued and rate else None


# -- one job


@dataclass(frozen=True)
class Detail:
    """Everything about one job.

    Attributes:
        job: the whole row, with result, traceback and source. `job.elapsed` uses this machine's clock.
        row: the same job as a line of a list.
        kernel: the process that runs it; None if nobody has taken it, or the process is not registered.
        log_lines: how many lines it printed so far.
        values: the parts of its value that are kept beside the row.
        retries: the jobs that repeat it, newest first, at most 20.
        original: the job that it repeats; None if it repeats none, or that one was deleted.
        group: how many jobs of its `map` are in each state; empty if it belongs to none.
        queue: how many jobs of the same process wait before it; None if it does not wait.
        as_of: the server's time when this was read.
    """

    job: Job
    row: JobRow
    kernel: KernelRow | None
    log_lines: int
    values: tuple[ValueRow, ...]
    retries: tuple[JobRow, ...]
    original: JobRow | None
    group: dict[str, int]
    queue: int | None
    as_of: datetime


class LogPage(NamedTuple):
    """Some adjacent lines of a job's log.

    Attributes:
        rows: in order.
        last: the number of the job's last line; 0 if it printed nothing.
    """

    rows: tuple[LogRow, ...]
    last: int


# -- reports


@dataclass(frozen=True)
class ErrorReport:
    """Failed jobs, grouped by what went wrong.

    Attributes:
        groups: the largest first.
        examined: how many failed jobs were looked at: the newest ones.
        complete: False if there are more.
        since: when the oldest of them ended; None if there are none.
        as_of: the server's time when this was read.
    """

    groups: tuple[ErrorGroup, ...]
    examined: int
    complete: bool
    since: datetime | None
    as_of: datetime


@dataclass(frozen=True)
class TypeReport:
    """How each type of job is doing.

    Attributes:
        types: the busiest first.
        examined: how many finished jobs were looked at: the newest ones.
        complete: False if there are more.
        since: when the oldest of them ended; None if there are none.
        as_of: the server's time when this was read.
    """

    types: tuple[TypeRow, ...]
    examined: int
    complete: bool
    since: datetime | None
    as_of: datetime


class Completion(NamedTuple):
    """One way to go on with a filter that is being typed.

    Attributes:
        text: the whole filter after it was chosen.
        cursor: where the cursor is then.
        label: what to show in a list: the word, not the whole filter.
        hint: what it means, in a few words.
    """

    text: str
    cursor: int
    label: str
    hint: str = ""


# -- actions


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


# -- the link to the database


class LinkStatus(StrEnum):
    """How the link to the database is doing."""

    CONNECTING = "connecting"
    """Nothing was read yet."""
    UP = "up"
    SLOW = "slow"
    """A read has been under way for over a second."""
    DOWN = "down"
    """The last attempt failed; the next one is made by itself."""
    REFUSED = "refused"
    """The server answered, but this can't work (wrong password, no such database, other schema); tried again rarely."""


class Access(NamedTuple):
    """What may be done here.

    Attributes:
        may_cancel: jobs may be asked to stop.
        may_retry: jobs may be run again.
        may_delete: jobs may be deleted.
        reason: why not everything may: `--read-only`, a standby, or the privileges that the role lacks.
    """

    may_cancel: bool
    may_retry: bool
    may_delete: bool
    reason: str = ""

    def allows(self, action: Action) -> bool:
        """True if that action may be tried."""
        if action in (Action.CANCEL, Action.FORCE):
            return self.may_cancel
        return self.may_retry if action is Action.RETRY else self.may_delete


@dataclass(frozen=True)
class Server:
    """What was found on the other side, the last time a connection was made.

    Attributes:
        where: its address for people, without a password.
        version: PostgreSQL's version, such as `18.4`.
        database: the database's name.
        role: who we are there.
        is_embedded: True for jobnb's own server.
        is_standby: True for a read-only copy; it lags behind.
        has_pooler: True if a connection pooler stands between.
        sleeps: True if it is a server that goes to sleep when unused (Neon): polling keeps it awake, and costs money.
    """

    where: str
    version: str = ""
    database: str = ""
    role: str = ""
    is_embedded: bool = False
    is_standby: bool = False
    has_pooler: bool = False
    sleeps: bool = False


_NO_ACCESS = Access(may_cancel=False, may_retry=False, may_delete=False, reason="not connected yet")


@dataclass(frozen=True)
class LinkState:
    """How the link is doing right now; made without touching the network.

    Attributes:
        status: see `LinkStatus`.
        age: seconds since the newest data that was read; None if nothing was read yet.
        message: what is wrong and what to do, in a sentence; empty while all is well.
        retry_in: seconds until the next attempt; None while one is under way, or none is needed.
        server: what is known about the other side.
        access: what may be done.
        latency: seconds that a short read took lately; None before the first.
    """

    status: LinkStatus
    age: float | None
    message: str = ""
    retry_in: float | None = None
    server: Server = Server("a database")
    access: Access = _NO_ACCESS
    latency: float | None = None
