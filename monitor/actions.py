"""`Actions`: plans an action without doing it, does it in batches, takes it back."""

from __future__ import annotations

import itertools
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from jobnb.db.queries import bulk, window
from jobnb.errors import DatabaseError, InvalidInput, JobnbError
from monitor import deeds
from monitor.deeds import Tally
from monitor.model import EVERYTHING, Action, Count, Outcome, Plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from uuid import UUID

    from monitor.link import Link
    from monitor.model import JobRow, Mark, Progress, Target

BATCH = 1_000
"""Jobs of one transaction."""
KEPT_JOBS, KEPT_BYTES = 1_000, 64_000_000
"""How much of what is deleted is kept in memory, to be put back."""
WATCHED_JOBS, WATCH_SECONDS = 20, 2.5
"""Up to so many jobs are watched for so long, to tell whether they really stopped or started."""
SAMPLE = 5
_UNDOABLE = 20
_ATTEMPTS = 5
_STOPS = (Action.CANCEL, Action.FORCE)
_CLASHES = ("40P01", "40001", "55P03")


class Actions:
    """Everything that changes jobs. Safe to use from several threads.

    Args:
        link: to the database.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._tokens = itertools.count(1)
        self._undoable: OrderedDict[int, tuple[Action, Any]] = OrderedDict()

    def plan(self, action: Action, target: Target) -> Plan:
        """See `Source.plan`."""
        until = None if target.filter is None else self._top()
        found = self._link.run(bulk.count_targets, action.value, target.filter, target.job_ids, until)
        count, skipped = deeds.divide(action, found)
        some = self._first(action, target, until, KEPT_JOBS) if count else []
        keeps = action is Action.DELETE and count <= KEPT_JOBS and self._link.run(bulk.weigh, some) <= KEPT_BYTES
        access = self._link.access
        refused = None if access.allows(action) else access.reason
        return Plan(
            action=action,
            target=target,
            count=Count(count),
            skipped=skipped,
            sample=self._sample(some),
            sql=bulk.as_sql(action.value, target.filter, target.job_ids, until),
            warnings=deeds.warnings(action, found, keeps=keeps),
            refused=refused or (None if count else f"there is no job to {action.value} here"),
            undo=deeds.undo_words(action, keeps=keeps),
            until=until,
        )

    def execute(self, plan: Plan, progress: Callable[[Progress], bool] | None = None) -> Outcome:
        """See `Source.execute`."""
        if plan.refused:
            raise InvalidInput(f"can't {plan.action.value}: {plan.refused}", argument="plan")
        tally = Tally(plan, progress)
        kept: list[Any] = []
        try:
            for job_ids in self._batches(plan):
                self._act(tally, kept, job_ids)
                if not tally.goes_on(len(job_ids)):
                    break
        except JobnbError as error:
            if not tally.looked_at:
                raise
            tally.error = str(error)
        else:
            self._watch(tally, kept)
        return tally.outcome(self._remember(plan.action, kept) if kept and plan.undo else None)

    def undo(self, outcome: Outcome) -> Outcome:
        """See `Source.undo`."""
        known = None if outcome.undo_token is None else self._undoable.pop(outcome.undo_token, None)
        if known is None:
            raise InvalidInput("nothing of that can be undone any more", argument="outcome")
        began = time.monotonic()
        action, kept = known
        if action in _STOPS:
            changed, tally = self._withdraw(kept)
        else:
            changed, tally = self._stop_new(kept) if action is Action.RETRY else self._put_back(kept)
        told = {words: count for words, count in tally.items() if count}
        return Outcome(action, changed, told, (), seconds=time.monotonic() - began)

    # -- which jobs

    def _top(self) -> Mark | None:
        rows = self._link.run(window.read_page, EVERYTHING, 1).rows
        return rows[0].mark if rows else None

    def _first(self, action: Action, target: Target, until: Mark | None, limit: int) -> list[UUID]:
        """The newest jobs that an action would change."""
        if target.filter is not None:
            if until is None:
                return []
            marks = self._link.run(bulk.next_batch, action.value, target.filter, until, limit, inclusive=True)
            return [mark.job_id for mark in marks]
        rows = self._link.run(window.read_rows, target.job_ids[:limit])
        chosen = (rows[job_id] for job_id in target.job_ids[:limit] if job_id in rows)
        return [row.job_id for row in chosen if deeds.reason_for_row(action, row) is None]

    def _sample(self, job_ids: Sequence[UUID]) -> tuple[JobRow, ...]:
        rows = self._link.run(window.read_rows, job_ids[:SAMPLE]) if job_ids else {}
        return tuple(rows[job_id] for job_id in job_ids[:SAMPLE] if job_id in rows)

    def _batches(self, plan: Plan) -> Iterator[list[UUID]]:
        if plan.target.filter is None:
            ids = plan.target.job_ids
            yield from (list(ids[at : at + BATCH]) for at in range(0, len(ids), BATCH))
            return
        at, inclusive = plan.until, True
        while at is not None:
            marks = self._link.run(
                bulk.next_batch, plan.action.value, plan.target.filter, at, BATCH, inclusive=inclusive
            )
            if not marks:
                return
            yield [mark.job_id for mark in marks]
            at, inclusive = marks[-1], False

    # -- one batch each

    def _act(self, tally: Tally, kept: list[Any], job_ids: list[UUID]) -> None:
        if tally.plan.action in _STOPS:
            self._cancel(tally, kept, job_ids)
        elif tally.plan.action is Action.RETRY:
            self._retry(tally, kept, job_ids)
        else:
            self._delete(tally, kept, job_ids)

    def _cancel(self, tally: Tally, kept: list[Any], job_ids: list[UUID]) -> None:
        asked = self._write(bulk.cancel_many, job_ids, force=tally.plan.action is Action.FORCE)
        for job_id, _, kernel in asked:
            tally.note(job_id, deeds.ASKED[kernel])
        kept += [(job_id, kernel) for job_id, status, kernel in asked if status != "failed"]
        self._note_others(tally, job_ids, {job_id for job_id, _, _ in asked})

    def _retry(self, tally: Tally, kept: list[Any], job_ids: list[UUID]) -> None:
        added = self._write(bulk.retry_many, job_ids)
        for old, new in added:
            tally.note(old, f"to be run again as {new.hex[-8:]}", sort="to be run again")
        kept += added
        self._note_others(tally, job_ids, {old for old, _ in added})

    def _delete(self, tally: Tally, kept: list[Any], job_ids: list[UUID]) -> None:
        deleted, rows = self._write(bulk.delete_many, job_ids, keep=bool(tally.plan.undo))
        for job_id in deleted:
            tally.note(job_id, "deleted")
        kept += [rows] if rows.jobs else []
        self._note_others(tally, job_ids, set(deleted))

    def _write(self, query: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run a batch; one that met another writer on the same rows is run again, as the server undid it whole."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return self._link.run(query, *args, **kwargs)
            except DatabaseError as error:
                if error.sqlstate not in _CLASHES or attempt == _ATTEMPTS:
                    raise
                time.sleep(0.05 * attempt)
        raise AssertionError("unreachable")

    def _note_others(self, tally: Tally, job_ids: list[UUID], changed: set[UUID]) -> None:
        """Note why some jobs of a batch were left alone."""
        others = [job_id for job_id in job_ids if job_id not in changed]
        rows = self._link.run(window.read_rows, others) if others else {}
        for job_id in others:
            row = rows.get(job_id)
            reason = "not there any more" if row is None else deeds.reason_for_row(tally.plan.action, row)
            tally.note(job_id, f"left alone: {reason or 'it changed meanwhile'}", changed=False)

    # -- what happened then

    def _watch(self, tally: Tally, kept: list[Any]) -> None:
        """Look for a moment whether a few jobs really stop or start."""
        if tally.plan.action is Action.DELETE or not 0 < len(kept) <= WATCHED_JOBS:
            return
        is_cancel = tally.plan.action in _STOPS
        tell = _tell_cancelled if is_cancel else _tell_retried
        if is_cancel:
            new_ids = {job_id: job_id for job_id, kernel in kept if kernel == "alive"}
        else:
            new_ids = {new: old for old, new in kept}
        until = time.monotonic() + WATCH_SECONDS
        while True:
            rows = self._link.run(window.read_rows, list(new_ids))
            settled = [tell(tally, old, rows.get(job_id)) for job_id, old in new_ids.items()]
            if all(settled) or time.monotonic() > until or not tally.goes_on():
                return
            time.sleep(0.2)

    # -- undo

    def _remember(self, action: Action, kept: list[Any]) -> int:
        token = next(self._tokens)
        self._undoable[token] = (action, kept)
        while len(self._undoable) > _UNDOABLE:
            self._undoable.popitem(last=False)
        return token

    def _withdraw(self, asked: list[tuple[UUID, str]]) -> tuple[int, dict[str, int]]:
        job_ids = [job_id for job_id, _ in asked]
        withdrawn: list[UUID] = []
        for at in range(0, len(job_ids), BATCH):
            withdrawn += self._write(bulk.withdraw_cancels, job_ids[at : at + BATCH])
        return len(withdrawn), {
            "requests withdrawn; a process that had seen it already stops its job all the same": len(withdrawn),
            "had ended already": len(job_ids) - len(withdrawn),
        }

    def _stop_new(self, pairs: list[tuple[UUID, UUID]]) -> tuple[int, dict[str, int]]:
        asked = []
        for at in range(0, len(pairs), BATCH):
            asked += self._write(bulk.cancel_many, [new for _, new in pairs[at : at + BATCH]])
        return len(asked), {
            "new jobs asked to stop": len(asked),
            "had ended already": len(pairs) - len(asked),
        }

    def _put_back(self, batches: list[bulk.Deleted]) -> tuple[int, dict[str, int]]:
        restored = sum(self._write(bulk.restore, rows) for rows in batches)
        total = sum(len(rows.jobs) for rows in batches)
        return restored, {"put back": restored, "were there again": total - restored}


def _tell_cancelled(tally: Tally, job_id: UUID, row: JobRow | None) -> bool:
    """Note how a job that was asked to stop is now; True if it has ended."""
    if row is None:
        tally.note(job_id, "was deleted meanwhile")
    elif row.state == "cancelled":
        tally.note(job_id, "stopped")
    elif not row.is_active:
        tally.note(job_id, f"ended by itself: {row.state}")
    else:
        runs = deeds.STILL_FORCED if tally.plan.action is Action.FORCE else deeds.STILL_RUNS
        tally.note(job_id, runs if row.state == "in_progress" else deeds.STILL_WAITS)
    return row is None or not row.is_active


def _tell_retried(tally: Tally, job_id: UUID, row: JobRow | None) -> bool:
    """Note how a job that repeats another one is now; True if its process has taken it."""
    if row is None:
        tally.note(job_id, "the new job was deleted meanwhile")
    elif row.state == "scheduled":
        sort = "waits for its process"
        tally.note(job_id, f"waits as {row.short_id}: an idle process looks once a minute", sort=sort)
    elif row.is_failure:
        tally.note(job_id, f"ran again as {row.short_id} and {row.state}: {row.message}", sort="ran again and failed")
    else:
        verb = "runs again" if row.state == "in_progress" else "ran again"
        tally.note(job_id, f"{verb} as {row.short_id}", sort=verb)
    return row is None or row.state != "scheduled"
