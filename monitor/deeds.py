"""What an action says: before, about what it would do, and afterwards, about what became of each job."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from monitor.model import Action, JobOutcome, Outcome, Progress

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from jobnb.db.queries.bulk import Targets
    from monitor.model import JobRow, Plan

TOLD_JOBS = 1_000
"""Jobs of which an outcome tells one by one."""

ASKED = {
    "none": "cancelled before it started",
    "alive": "asked to stop",
    "silent": "asked to stop, but its process has given no sign of life for 30 s",
    "gone": "asked to stop, but its process is gone: nothing of it runs any more",
    "unknown": "asked to stop, but nothing is known of its process",
}
STILL_RUNS = "asked to stop; its code still runs: it stops at its next progress(), track() or check_cancelled()"
STILL_FORCED = "to be stopped by force; its code still runs: C code is not interrupted before it returns"
STILL_WAITS = "asked to stop; it had not started"


def divide(action: Action, found: list[Targets]) -> tuple[int, dict[str, int]]:
    """How many of the jobs found an action would change, and how many not, by reason."""
    skipped: Counter[str] = Counter()
    count = 0
    for target in found:
        reason = _reason(action, target.status, target.kernel, asked=target.asked)
        if reason is None:
            count += target.jobs
        else:
            skipped[reason] += target.jobs
    return count, dict(skipped.most_common())


def reason_for_row(action: Action, row: JobRow) -> str | None:
    """Why an action leaves a job alone; None if it does not, as far as the row tells."""
    kernel = "none" if row.kernel_id is None else "gone" if row.kernel_gone else "alive"
    status = "failed" if row.is_failure else row.state
    return _reason(action, status, kernel, asked=row.cancel_requested and action is Action.CANCEL)


def _reason(action: Action, status: str, kernel: str, *, asked: bool) -> str | None:
    ended = status in ("done", "failed")
    if action in (Action.CANCEL, Action.FORCE):
        return f"{status} already" if ended else "asked to stop before" if asked else None
    if not ended:
        return "running still" if status == "in_progress" else "queued still"
    if action is Action.RETRY and kernel not in ("alive", "silent"):
        return "its process, which has the function and its arguments, is gone: submit it again"
    return None


def warnings(action: Action, found: list[Targets], *, keeps: bool) -> tuple[str, ...]:
    """What a person should read before."""
    told = []
    kernels: Counter[str] = Counter()
    for target in found:
        if _reason(action, target.status, target.kernel, asked=target.asked) is None:
            kernels[target.kernel] += target.jobs
    if action is Action.FORCE and kernels.total():
        told.append("StopRequested is raised inside their code, wherever it is: it may skip some of its cleanup")
    if action in (Action.CANCEL, Action.FORCE):
        told += [f"{kernels[kind]:,} jobs: {ASKED[kind]}" for kind in ("silent", "gone", "unknown") if kernels[kind]]
    if action is Action.DELETE and kernels.total():
        told.append("their results, logs and values are deleted with them")
        if not keeps:
            told.append("this can't be undone")
    return tuple(told)


def undo_words(action: Action, *, keeps: bool) -> str:
    """What undoing an action would do."""
    if action in (Action.CANCEL, Action.FORCE):
        return "the request is withdrawn from jobs that have not stopped yet"
    if action is Action.RETRY:
        return "the new jobs are asked to stop"
    return "they are put back, with logs and values, while this monitor runs" if keeps else ""


class Tally:
    """What becomes of the jobs of one action, while it is under way.

    Args:
        plan: what is being done.
        progress: told after each batch; False stops.
    """

    def __init__(self, plan: Plan, progress: Callable[[Progress], bool] | None) -> None:
        self.plan = plan
        self._progress = progress
        self._began = time.monotonic()
        self._counts: Counter[str] = Counter()
        self._jobs: dict[UUID, tuple[JobOutcome, str]] = {}
        self.changed = self.looked_at = 0
        self.stopped = False
        self.error: str | None = None

    def note(self, job_id: UUID, words: str, *, changed: bool = True, sort: str = "") -> None:
        """Note what became of a job; a second time it replaces the first.

        Args:
            job_id: which.
            words: what became of it.
            changed: whether something was done to it.
            sort: under which words it is counted, where its own are about it alone.
        """
        sort = sort or words
        before = self._jobs.get(job_id)
        if before is not None:
            self._counts[before[1]] -= 1
        else:
            self.changed += changed
        self._counts[sort] += 1
        if before is not None or len(self._jobs) < TOLD_JOBS:
            self._jobs[job_id] = (JobOutcome(job_id, changed, words), sort)

    def goes_on(self, looked_at: int = 0) -> bool:
        """Tell the progress; False if it is to stop."""
        self.looked_at += looked_at
        if self._progress is not None:
            told = Progress(self.changed, self.looked_at, max(self.plan.count.value, self.looked_at))
            self.stopped = self._progress(told) is False
        return not self.stopped

    def outcome(self, undo_token: int | None) -> Outcome:
        """All of it."""
        return Outcome(
            action=self.plan.action,
            changed=self.changed,
            tally={words: count for words, count in self._counts.most_common() if count},
            jobs=tuple(outcome for outcome, _ in self._jobs.values()),
            stopped=self.stopped,
            error=self.error,
            sql=self.plan.sql,
            undo_token=undo_token,
            seconds=time.monotonic() - self._began,
        )
