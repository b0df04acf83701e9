"""The header, the reports, and everything about one job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from jobnb.db.rows import ErrorGroup, JobRow, KernelRow, LogRow, TypeRow, ValueRow
    from jobnb.models import Job
    from monitor.model.lists import Count


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
