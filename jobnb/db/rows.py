"""What the queries of the monitor return: plain tuples, cheap to make and to compare; no SQLAlchemy here.

Every text is as it is stored, whatever is in it: who shows one passes it through `jobnb.display.words.one_line` first.
Times are aware and in UTC.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

STATES = ("scheduled", "in_progress", "done", "failed", "cancelled", "timeout", "lost")
"""The states of a job, as `Job.state` has them: the four statuses, with the reasons for `failed` told apart."""
ACTIVE_STATES = ("scheduled", "in_progress")
FAILED_STATES = ("failed", "cancelled", "timeout", "lost")


class Mark(NamedTuple):
    """A place in the order of jobs: newest `created_at` first, then highest id; it stays right if its job is deleted.

    Attributes:
        created: `created_at` as the server writes it (also `infinity`, or a year BC); None for a row without one,
            which comes after all others.
        job_id: the job that is, or was, at this place.
    """

    created: str | None
    job_id: UUID


class JobRow(NamedTuple):
    """One job as a line of a list; equal tuples mean that nothing on the line has changed.

    Attributes:
        job_id: the whole id; `short_id` is what people see.
        state: one of `STATES`.
        job_type: at most 50 characters.
        name: what a person calls it, cut after 300 characters; None if it has no name.
        progress: done so far, in [0, 1]; None if the job never said.
        message: why it failed, or what it is doing, cut after 300 characters; empty if there is nothing to say.
        created_at: when it was accepted; None for a row of another tool that left it out.
        started_at: when its function began.
        finished_at: when it ended.
        duration_s: seconds from start to end; None before the end. For a running job see `seconds`.
        attempt: counts from 1.
        max_attempts: how many it has.
        kernel_id: the process that runs it; None if nobody has taken it.
        kernel: that process in a few words, `train.ipynb` or `host:4711`; empty if there is none.
        kernel_gone: True if that process has said goodbye, or was found dead.
        cancel_requested: True if somebody asked it to stop.
        has_value_error: True if it is done, but its value could not be stored whole.
        retry_of: the job that this one repeats.
        group_id: the same in all jobs of one `map`.
        mark: its place in the order of jobs.
    """

    job_id: UUID
    state: str
    job_type: str
    name: str | None
    progress: float | None
    message: str
    created_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    duration_s: float | None
    attempt: int
    max_attempts: int
    kernel_id: UUID | None
    kernel: str
    kernel_gone: bool
    cancel_requested: bool
    has_value_error: bool
    retry_of: UUID | None
    group_id: UUID | None
    mark: Mark

    @property
    def short_id(self) -> str:
        """The last eight hex digits; the first ones are the time."""
        return self.job_id.hex[-8:]

    @property
    def title(self) -> str:
        """What a person calls the job."""
        return self.name or self.job_type

    @property
    def is_active(self) -> bool:
        """True if it has not ended."""
        return self.state in ACTIVE_STATES

    @property
    def is_failure(self) -> bool:
        """True if it ended without a value, for whatever reason."""
        return self.state in FAILED_STATES

    def seconds(self, now: datetime) -> float | None:
        """Seconds it ran, or has been running at `now` (the server's time); None if it has not begun."""
        if self.duration_s is not None:
            return self.duration_s
        if self.started_at is None:
            return None
        return max(0.0, ((self.finished_at or now) - self.started_at).total_seconds())

    def waited(self, now: datetime) -> float | None:
        """Seconds from its creation to its start, or to `now`; None if it ended without a start."""
        if self.created_at is None:
            return None
        until = self.started_at or (now if self.state == "scheduled" else None)
        return None if until is None else max(0.0, (until - self.created_at).total_seconds())


class KernelRow(NamedTuple):
    """One process that runs or ran jobs.

    Attributes:
        kernel_id: its id.
        host: the name of its computer.
        pid: its process id there.
        user: who runs it.
        notebook: path of the notebook that it serves, where known.
        python: its version of Python.
        started_at: when it registered.
        heartbeat: its last sign of life; sent every 10 s while it has unfinished jobs, and not at all otherwise.
        stopped_at: when it said goodbye or was found dead; None while nothing is known of that.
        running: how many of its jobs run.
        queued: how many wait.
        stopping: how many were asked to stop and have not ended.
    """

    kernel_id: UUID
    host: str
    pid: int
    user: str
    notebook: str | None
    python: str
    started_at: datetime
    heartbeat: datetime
    stopped_at: datetime | None
    running: int
    queued: int
    stopping: int

    @property
    def label(self) -> str:
        """The process in a few words: its notebook's file name, or `host:pid`."""
        return kernel_label(self.host, self.pid, self.notebook)

    def state(self, now: datetime) -> str:
        """`stopped`, `idle`, `alive`, or `silent` if its jobs run and no sign of life came for 30 s.

        Args:
            now: the server's time.
        """
        if self.stopped_at is not None:
            return "stopped"
        if not self.running + self.queued:
            return "idle"
        return "silent" if (now - self.heartbeat).total_seconds() > SILENT_SECONDS else "alive"


SILENT_SECONDS = 30.0
"""Seconds without a heartbeat, of three that were due, after which a kernel with unfinished jobs counts as silent."""


class LogRow(NamedTuple):
    """One line that a job printed or logged.

    Attributes:
        n: counts from 1 within the job; a gap means that lines were left out.
        at: when.
        stream: `stdout`, `stderr`, `log`, or `jobnb` for a remark of jobnb's own.
        line: the text, without the line's end.
    """

    n: int
    at: datetime
    stream: str
    line: str


class ErrorGroup(NamedTuple):
    """Failed jobs that failed the same way: their messages differ only in numbers, ids and quoted parts.

    Attributes:
        fingerprint: eight hex digits; the filter `same:FINGERPRINT` finds the group's jobs.
        message: the newest of their messages, one line, cut after 500 characters.
        state: the commonest of their states: `failed`, `cancelled`, `timeout` or `lost`.
        jobs: how many there are.
        first: when the first of them ended; None if no row says when.
        last: when the newest of them ended; None if no row says when.
        types: the commonest job types of the group with their counts, at most five.
        sample: ids of the newest jobs of the group, at most five.
        history: how many ended in each of 24 equal slices of the time that the report covers, oldest first.
    """

    fingerprint: str
    message: str
    state: str
    jobs: int
    first: datetime | None
    last: datetime | None
    types: tuple[tuple[str, int], ...]
    sample: tuple[UUID, ...]
    history: tuple[int, ...]


class TypeRow(NamedTuple):
    """How the jobs of one type are doing.

    Attributes:
        job_type: the type.
        queued: how many wait.
        running: how many run.
        finished: how many of the report's newest finished jobs are of this type.
        failures: how many of those ended without a value.
        p50: seconds that half of those took at most; None if none of them has a duration.
        p95: seconds that 95 of 100 of those took at most.
        wait_p50: seconds that half of those waited at most.
        last: when the newest of them ended; None if none did.
        history: how many ended in each of 24 equal slices of the time that the report covers, oldest first.
    """

    job_type: str
    queued: int
    running: int
    finished: int
    failures: int
    p50: float | None
    p95: float | None
    wait_p50: float | None
    last: datetime | None
    history: tuple[int, ...]


class ValueRow(NamedTuple):
    """A part of a job's value that is kept beside the row.

    Attributes:
        name: its name in the result.
        kind: how it is encoded: `arrow`, `npy`, `png`, `html` ...
        parts: into how many rows it is split.
        size: bytes in all.
        meta: what is known about it: shape, columns and so on.
    """

    name: str
    kind: str
    parts: int
    size: int
    meta: dict[str, Any]


def kernel_label(host: str, pid: int, notebook: str | None) -> str:
    """A process in a few words: its notebook's file name, or `host:pid`."""
    return notebook.rsplit("/", 1)[-1] if notebook else f"{host}:{pid}"
