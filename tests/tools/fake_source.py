"""A `Source` made of Python values: as many jobs as wanted, a clock that stands, a link that can be cut."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from jobnb.errors import DatabaseUnavailable, InvalidInput
from jobnb.models import Job
from monitor.model import (
    ACTIVE_STATES,
    EVERYTHING,
    FAILED_STATES,
    NEWEST,
    STATES,
    Access,
    Action,
    Bucket,
    Completion,
    Count,
    Detail,
    ErrorGroup,
    ErrorReport,
    Filter,
    JobOutcome,
    JobRow,
    KernelRow,
    LinkState,
    LinkStatus,
    LogPage,
    LogRow,
    Mark,
    Outcome,
    Overview,
    Plan,
    Progress,
    Search,
    Server,
    Spot,
    Survey,
    Target,
    Term,
    TypeReport,
    TypeRow,
    ValueRow,
    View,
    Window,
)

NOW = datetime(2026, 11, 26, 14, 0, 0, tzinfo=UTC)
_NAMES = (
    ("train", "resnet50, 20 epochs"), ("train", "gradient boosting, depth 8"), ("features", "customers, 90 days"),
    ("ocr", "invoices 2026-11"), ("embed", "abstracts, batch 14"), ("simulate", "queue with 12 servers"),
    ("report", "weekly numbers"), ("cross_validation", "wine, 5 neighbours"), ("backtest", "momentum 12-1, EU"),
)  # fmt: skip
_ERRORS = (
    "ValueError: Found array with 0 sample(s) (shape=(0, 13)) while a minimum of 1 is required",
    "KeyError: 'customer_id'",
    "MemoryError: Unable to allocate 12.4 GiB for an array with shape (40960, 40960)",
    "ConnectionError: HTTPSConnectionPool(host='data.example.org', port=443): Read timed out",
)
_MESSAGES = ("epoch 12/20, loss 0.312", "reading page 118 of 240", "fold 3 of 5", "batch 77, 1.2k rows/s")
KERNELS = tuple(UUID(int=0xA0 + number) for number in range(3))
_KERNEL_LABELS = ("experiments.ipynb", "nightly-7:40312", "churn.ipynb")


def job_id(number: int) -> UUID:
    """The id of the job made as the n-th, counted from 0: ordered, and with an end that looks like chance."""
    tail = hashlib.sha256(str(number).encode()).hexdigest()[:8]
    return UUID(f"019ac{number:07x}{'7000'}{'8000'}{'0000'}{tail}")


def make_row(number: int, newest: int) -> JobRow:
    """The n-th job, where `newest` was the number of the newest one when the test began; later ones wait."""
    back = newest - number
    chance = int(hashlib.md5(str(number).encode()).hexdigest()[:8], 16)
    kind, name = _NAMES[chance % len(_NAMES)]
    created = NOW - timedelta(seconds=back * 7 + chance % 5) if back >= 0 else NOW + timedelta(milliseconds=-back)
    state = "scheduled" if back < 3 else "in_progress" if back < 12 else _ended(chance)
    started = None if state == "scheduled" else created + timedelta(seconds=1 + chance % 4)
    took = None if state in ACTIVE_STATES else 0.5 + (chance % 90_000) / 100
    progress = (chance % 100) / 100 if state == "in_progress" and back != 7 else 0.4 if state == "timeout" else None
    return JobRow(
        job_id(number), state, kind, name, progress, _words(state, chance), created, started,
        None if took is None or started is None else started + timedelta(seconds=took), took,
        2 if chance % 11 == 0 else 1, 3 if chance % 11 == 0 else 1,
        KERNELS[chance % 3], _KERNEL_LABELS[chance % 3], state == "lost", state == "in_progress" and back == 9, False,
        None, None, Mark(created.isoformat(), job_id(number)),
    )  # fmt: skip


def _ended(chance: int) -> str:
    share = chance % 100
    bounds = ((84, "done"), (93, "failed"), (96, "cancelled"), (98, "timeout"), (100, "lost"))
    return next(state for bound, state in bounds if share < bound)


def _words(state: str, chance: int) -> str:
    if state == "in_progress":
        return _MESSAGES[chance % len(_MESSAGES)]
    said = {
        "failed": _ERRORS[chance % len(_ERRORS)],
        "timeout": "timed out after 300 s; the function may still be running",
        "cancelled": "cancelled by its user",
        "lost": "lost: process 40312 on nightly-7 went away before the job ended",
    }
    return said.get(state, "")


class FakeSource:
    """See the module. `change` and `add` change what it tells; `down` cuts the link, `calls` counts what is asked."""

    def __init__(self, total: int = 1_000_000) -> None:
        self.total = total
        self.newest = total - 1
        self.changed: dict[int, JobRow] = {}
        self.gone: set[UUID] = set()
        self.clock = NOW
        self.link_state = LinkState(
            LinkStatus.UP, 0.1, server=Server("embedded server", "18.4", "jobnb", "ada", is_embedded=True),
            access=Access(may_cancel=True, may_retry=True, may_delete=True), latency=0.001,
        )  # fmt: skip
        self.calls: dict[str, int] = {}
        self.down: DatabaseUnavailable | None = None
        self.details: dict[UUID, dict[str, Any]] = {}
        self.logs: dict[UUID, list[LogRow]] = {}
        self.done: list[tuple[str, Any]] = []
        self.search: Search | None = None
        self.hold = threading.Event()
        self.hold.set()
        self.closed = False

    # what a test does

    def change(self, number: int, **fields: Any) -> JobRow:
        """Change the n-th job."""
        self.changed[number] = self.row(number)._replace(**fields)
        return self.changed[number]

    def add(self, count: int) -> None:
        """Let new jobs come."""
        self.total += count

    def cut(self, message: str = "connection refused") -> None:
        """Take the database away."""
        self.down = DatabaseUnavailable(message)
        self.link_state = replace(self.link_state, status=LinkStatus.DOWN, age=12.0, message=message, retry_in=3.0)

    def mend(self) -> None:
        """Bring it back."""
        self.down = None
        self.link_state = replace(self.link_state, status=LinkStatus.UP, age=0.1, message="", retry_in=None)

    def row(self, number: int) -> JobRow:
        return self.changed.get(number) or make_row(number, self.newest)

    # the protocol

    def _asked(self, what: str) -> None:
        self.calls[what] = self.calls.get(what, 0) + 1
        self.hold.wait(10)
        if self.down is not None:
            raise self.down

    def link(self) -> LinkState:
        return self.link_state

    def now(self) -> datetime:
        return self.clock

    def reconnect(self) -> None:
        self.calls["reconnect"] = self.calls.get("reconnect", 0) + 1
        self.mend()

    def close(self) -> None:
        self.closed = True
        self.hold.set()

    def _listed(self, view: View) -> Sequence[int]:
        """Numbers of the jobs of a view, top first."""
        top = self.total
        if view.head is not None:
            top = next((n + 1 for n in range(self.total - 1, -1, -1) if self.row(n).mark <= view.head), 0)
        if view.filter == EVERYTHING and view.sort == NEWEST and not self.gone:
            return range(top - 1, -1, -1)
        newest = range(top - 1, max(-1, top - 3000), -1)
        found = [n for n in newest if self.row(n).job_id not in self.gone and meets(self.row(n), view.filter)]
        if view.sort.key == "took":
            found.sort(key=lambda n: self.row(n).duration_s or -1.0, reverse=view.sort.descending)
        elif view.sort.key == "name":
            found.sort(key=lambda n: self.row(n).title, reverse=view.sort.descending)
        elif not view.sort.descending:
            found.reverse()
        return found

    def window(self, view: View, first: int, count: int, anchor: Mark | None = None) -> Window:
        self._asked("window")
        listed = self._listed(view)
        begin = first
        if anchor is not None:
            begin = next((i for i, n in enumerate(listed) if self.row(n).mark <= anchor), len(listed))
        elif first >= len(listed):
            begin = first = max(0, len(listed) - count)
        rows = tuple(self.row(n) for n in listed[begin : begin + count])
        newer = len(self._listed(view.following())) - len(listed) if view.head is not None else 0
        head = self.row(listed[0]).mark if listed and view.sort == NEWEST and first == 0 else None
        note = "" if view.sort == NEWEST else "sorted: newest 10,000"
        total = Count(len(listed), exact=view.filter.is_indexed)
        return Window(rows, first, total, Count(newer), head, self.clock, self.search, note, 0.001)

    def survey(self, view: View) -> Survey:
        self._asked("survey")
        return Survey(True, Count(len(self._listed(view))), self.search)

    def locate(self, view: View, job_id: UUID) -> Spot | None:
        self._asked("locate")
        for line, number in enumerate(self._listed(view)):
            if self.row(number).job_id == job_id:
                return Spot(line, self.row(number))
        return None

    def next_failure(self, view: View, start: Mark | None, *, older: bool) -> Spot | None:
        self._asked("next_failure")
        found = [(line, self.row(n)) for line, n in enumerate(self._listed(view)[:3000])]
        for line, row in found if older else reversed(found):
            passed = start is None or (row.mark < start if older else row.mark > start)
            if passed and row.is_failure:
                return Spot(line, row)
        return None

    def rows(self, job_ids: Sequence[UUID]) -> dict[UUID, JobRow]:
        self._asked("rows")
        numbers = (self.number(job_id) for job_id in job_ids)
        return {self.row(n).job_id: self.row(n) for n in numbers if n is not None}

    def number(self, job_id: UUID) -> int | None:
        number = int(job_id.hex[5:12], 16)
        return number if 0 <= number < self.total and job_id not in self.gone else None

    def find(self, digits: str) -> list[JobRow]:
        self._asked("find")
        newest = range(self.total - 1, max(-1, self.total - 500), -1)
        return [self.row(n) for n in newest if self.row(n).job_id.hex.endswith(digits)][:10]

    def overview(self) -> Overview:
        self._asked("overview")
        counts = {state: Count(0) for state in STATES}
        counts |= {
            "in_progress": Count(min(9, self.total)), "scheduled": Count(min(3, self.total)), "failed": Count(round(self.total * 0.09)),
            "cancelled": Count(214), "timeout": Count(12), "lost": Count(7),
            "done": Count(round(self.total * 0.87), exact=False),
        }  # fmt: skip
        begin = self.clock - timedelta(seconds=120)
        buckets = tuple(
            Bucket(
                begin + timedelta(seconds=n), 20 + (n * 7) % 13 + (18 if 60 < n < 80 else 0), 1 if n % 17 == 0 else 0
            )
            for n in range(120)
        )
        oldest = self.clock - timedelta(seconds=20)
        return Overview(
            counts,
            Count(self.total, exact=False),
            buckets,
            job_id(self.total - 1) if self.total else None,
            oldest,
            3,
            0,
            self.clock,
        )

    def detail(self, job_id: UUID) -> Detail | None:
        self._asked("detail")
        number = self.number(job_id)
        if number is None:
            return None
        row = self.row(number)
        status = "failed" if row.is_failure else row.state
        facts: dict[str, Any] = {
            "job_id": job_id, "job_type": row.job_type, "status": status, "name": row.name, "progress": row.progress,
            "created_at": row.created_at, "started_at": row.started_at, "finished_at": row.finished_at,
            "duration_s": row.duration_s, "attempt": row.attempt, "max_attempts": row.max_attempts,
            "kernel_id": row.kernel_id, "executor": "threads", "error_message": row.message or None,
            "error_kind": {"failed": "error"}.get(row.state, row.state) if row.is_failure else None,
            "progress_message": row.message, "traceback": TRACEBACK if row.state == "failed" else None,
            "result": {"result": RESULT} if row.state == "done" else {}, "source": SOURCE,
        }  # fmt: skip
        facts |= self.details.get(job_id, {})
        values = (ValueRow("result", "arrow", 3, 11_743_211, {"rows": 120_000, "columns": ["id", "amount", "day"]}),)
        lines = self.log_of(job_id)
        kernel = next((kernel for kernel in self.kernels() if kernel.kernel_id == row.kernel_id), None)
        return Detail(
            Job.model_validate(facts), row, kernel, len(lines), values if row.state == "done" else (), (), None, {},
            2 if row.state == "scheduled" else None, self.clock,
        )  # fmt: skip

    def log_of(self, job_id: UUID) -> list[LogRow]:
        if job_id not in self.logs:
            self.logs[job_id] = [
                LogRow(n, NOW - timedelta(seconds=60 - n), "stderr" if n % 9 == 0 else "stdout", _log_line(n))
                for n in range(1, 41)
            ]
        return self.logs[job_id]

    def log(self, job_id: UUID, *, after: int | None = None, before: int | None = None, limit: int = 500) -> LogPage:
        self._asked("log")
        lines = self.log_of(job_id)
        last = lines[-1].n if lines else 0
        if after is not None:
            return LogPage(tuple(line for line in lines if line.n > after)[:limit], last)
        earlier = [line for line in lines if before is None or line.n < before]
        return LogPage(tuple(earlier[-limit:]), last)

    def errors(self, wanted: Filter | None = None) -> ErrorReport:
        self._asked("errors")
        groups = tuple(
            ErrorGroup(
                f"{number:08x}", message, "failed", 412 // (number + 1), NOW - timedelta(days=number + 1),
                NOW - timedelta(minutes=3 * number + 1), (("train", 300 // (number + 1)), ("ocr", 20)),
                (job_id(self.total - 20 - number), job_id(self.total - 40 - number)),
                tuple((hour * (number + 3)) % 11 for hour in range(24)),
            )
            for number, message in enumerate(_ERRORS)
        )  # fmt: skip
        return ErrorReport(groups, 1000, False, NOW - timedelta(days=2), self.clock)

    def types(self, wanted: Filter | None = None) -> TypeReport:
        self._asked("types")
        kinds = sorted({kind for kind, _ in _NAMES})
        rows = tuple(
            TypeRow(
                kind, number, 9 - number, 900 // (number + 1), 31 // (number + 1), 1.5 + number * 40,
                8.2 + number * 340, 0.2 + number, NOW - timedelta(minutes=number),
                tuple((hour * (number + 2)) % 9 for hour in range(24)),
            )
            for number, kind in enumerate(kinds)
        )  # fmt: skip
        return TypeReport(rows, 10_000, False, NOW - timedelta(hours=5), self.clock)

    def kernels(self) -> list[KernelRow]:
        alive = NOW - timedelta(seconds=4)
        return [
            KernelRow(KERNELS[0], "laptop", 81211, "ada", "work/experiments.ipynb", "3.12.4",
                      NOW - timedelta(hours=3), alive, None, 5, 2, 1),
            KernelRow(KERNELS[2], "laptop", 81377, "ada", "work/churn.ipynb", "3.12.4",
                      NOW - timedelta(hours=1), NOW - timedelta(seconds=95), None, 4, 1, 0),
            KernelRow(KERNELS[1], "nightly-7", 40312, "batch", None, "3.11.9",
                      NOW - timedelta(days=1), NOW - timedelta(hours=9), NOW - timedelta(hours=9), 0, 0, 0),
        ]  # fmt: skip

    def complete(self, text: str, cursor: int) -> list[Completion]:
        self._asked("complete")
        word = text[:cursor].rsplit(" ", 1)[-1]
        begin = cursor - len(word)
        fields = {
            "status:": "scheduled, running, failed ...",
            "type:": "a type of jobs",
            "since:": "2h, 3d, 2026-11-01",
        }
        values = {f"status:{state}": "" for state in ("running", "failed", "done")} | {"type:train": "", "type:ocr": ""}
        offered = values if ":" in word else fields
        return [
            Completion(text[:begin] + offer + text[cursor:], begin + len(offer), offer, hint)
            for offer, hint in offered.items()
            if offer.startswith(word)
        ]

    def plan(self, action: Action, target: Target) -> Plan:
        self._asked("plan")
        if target.job_ids:
            rows = list(self.rows(target.job_ids).values())
        else:
            rows = [self.row(n) for n in self._listed(View(target.filter or EVERYTHING))[:5000]]
        fits = {
            Action.CANCEL: lambda row: row.is_active,
            Action.FORCE: lambda row: row.is_active,
            Action.RETRY: lambda row: not row.is_active,
            Action.DELETE: lambda row: not row.is_active,
        }
        chosen = [row for row in rows if fits[action](row)]
        skipped = {} if len(chosen) == len(rows) else {"ended already": len(rows) - len(chosen)}
        refused = None if self.link_state.access.allows(action) else self.link_state.access.reason
        warnings = ("what is deleted can't be brought back",) if action is Action.DELETE else ()
        undo = "" if action is Action.DELETE else "jobs that did not stop yet go on"
        sql = "UPDATE jobs SET cancel_requested_at = now()\nWHERE job_id = ANY(:job_ids)"
        return Plan(action, target, Count(len(chosen)), skipped, tuple(chosen[:5]), sql, warnings, refused, undo)

    def execute(self, plan: Plan, progress: Callable[[Progress], bool] | None = None) -> Outcome:
        self._asked("execute")
        if plan.refused:
            raise InvalidInput(plan.refused)
        self.done.append((plan.action.value, plan.target))
        if progress is not None:
            progress(Progress(plan.count.value, plan.count.value, plan.count.value))
        words = {
            "cancel": "asked to stop",
            "force": "asked to stop by force",
            "retry": "scheduled again",
            "delete": "deleted",
        }[plan.action.value]
        jobs = tuple(JobOutcome(row.job_id, True, words) for row in plan.sample)
        if plan.action is Action.DELETE:
            self.gone |= {row.job_id for row in plan.sample}
        token = None if plan.action is Action.DELETE else 1
        return Outcome(plan.action, plan.count.value, {words: plan.count.value}, jobs, sql=plan.sql, undo_token=token)

    def undo(self, outcome: Outcome) -> Outcome:
        self._asked("undo")
        self.done.append(("undo", outcome.action.value))
        return Outcome(outcome.action, outcome.changed, {"goes on": outcome.changed}, ())


def meets(row: JobRow, wanted: Filter) -> bool:
    """True if the row meets every term, as far as this source knows fields."""
    return all(_meets_term(row, term) != term.negated for term in wanted.terms)


def _meets_term(row: JobRow, term: Term) -> bool:
    held = {
        "state": row.state, "type": row.job_type, "kernel": row.kernel, "id": row.job_id.hex,
        "text": f"{row.title} {row.job_type} {row.message}".lower(),
    }.get(term.field, "")  # fmt: skip
    if term.field == "state":
        groups = {"active": ACTIVE_STATES, "unsuccessful": FAILED_STATES}
        return any(held == value or held in groups.get(value, ()) for value in term.values)
    if term.operator == "starts":
        return any(held.startswith(value) for value in term.values)
    if term.field == "same":
        return row.state == "failed"
    if term.operator == "is" and term.field != "text":
        return held in term.values
    return any(str(value).lower() in held.lower() for value in term.values)


def _log_line(n: int) -> str:
    if n % 9 == 0:
        return f"UserWarning: learning rate {1e-3 / n:.2e} is small"
    return f"epoch {n}/40  loss {2.4 / n:.4f}  acc {1 - 0.6 / n:.3f}  {n * 0.9:.1f} s"


TRACEBACK = """Traceback (most recent call last):
  File "/home/ada/work/experiments.ipynb, cell 14", line 7, in train
    model.fit(frame[features], frame["target"])
  File "/home/ada/env/lib/python3.12/site-packages/sklearn/base.py", line 1389, in wrapper
    return fit_method(estimator, *args, **kwargs)
ValueError: Found array with 0 sample(s) (shape=(0, 13)) while a minimum of 1 is required
"""
RESULT = {
    "accuracy": 0.9312,
    "confusion": [[51, 3, 0], [2, 66, 3], [0, 1, 47]],
    "best": {"k": 15, "weights": "distance", "scaled": True},
    "notes": None,
}
SOURCE = {
    "function": "train", "module": "__main__", "notebook": "work/experiments.ipynb", "cell": 14,
    "sha256": "9f2c51d0aa", "git_commit": "4474bb8",
    "text": 'def train(frame, rounds=20):\n    """Fit and score."""\n    for n in jobnb.track(range(rounds)):\n'
            '        model.partial_fit(frame[features], frame["target"])\n    return {"accuracy": score(model, frame)}\n',
}  # fmt: skip

__all__ = ["FAILED_STATES", "KERNELS", "NOW", "FakeSource", "job_id", "make_row"]
