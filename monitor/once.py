"""`--once`: writes what there is now, and ends."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from jobnb.display.words import duration
from monitor.conditions import NAMES
from monitor.formats import report_record
from monitor.model import NEWEST, View

if TYPE_CHECKING:
    from monitor.arguments import Arguments
    from monitor.conditions import Condition, Numbers
    from monitor.output import Output
    from monitor.postgres import PostgresSource

PAGE = 500
DEFAULT_LIMIT = 50
_SEARCH_SAYS_AFTER = 2.0


def run_once(source: PostgresSource, asked: Arguments, out: Output) -> int:
    """Write what was asked for; returns the exit code: 1 if a condition of `--fail-if` holds."""
    if asked.is_question:
        return check(source, asked, out)
    shown = {"jobs": show_jobs, "overview": show_numbers, "errors": show_errors, "types": show_types,
             "kernels": show_kernels}[asked.show]  # fmt: skip
    shown(source, asked, out)
    return check(source, asked, out)


def check(source: PostgresSource, asked: Arguments, out: Output) -> int:
    """The exit code by `--fail-if`; says which condition holds."""
    if not asked.fail_if:
        return 0
    numbers = source.numbers(asked.filter)
    holding = [condition for condition in asked.fail_if if condition.holds(numbers)]
    for condition in holding:
        out.say(f"{condition.text}: {told(condition, numbers)}")
    return 1 if holding else 0


def told(condition: Condition, numbers: Numbers) -> str:
    """A condition's number in words."""
    value = condition.value(numbers)
    if condition.name == "oldest_queued":
        return f"the oldest queued job has waited {duration(value)}"
    return f"{value:.2f} % {condition.name}" if condition.is_share else f"{value:,.0f} {condition.name}"


def show_jobs(source: PostgresSource, asked: Arguments, out: Output) -> None:
    """Write the first jobs of the filter, a page at a time."""
    limit = DEFAULT_LIMIT if asked.limit is None else asked.limit
    if asked.sort != NEWEST:
        written, is_cut = _show_sorted(source, asked, out, limit)
    else:
        written, is_cut = _show_newest(source, asked, out, limit)
    if is_cut:
        total = source.estimate(asked.filter)
        told = f"{written:,} jobs, and there are more" if total is None else f"{written:,} of {total} jobs"
        out.say(f"{told}; --limit all writes every one")
    elif not written and limit:
        out.say(f"no jobs for {asked.filter.text!r}" if asked.filter.text else "no jobs")


def _show_newest(source: PostgresSource, asked: Arguments, out: Output, limit: float) -> tuple[int, bool]:
    """Write the newest ones; returns how many, and whether there are more."""
    written, began, is_told = 0, time.monotonic(), asked.filter.is_indexed
    for rows in source.newest_first(asked.filter):
        part = rows[: int(min(len(rows), limit - written))]
        out.jobs(part, source.now())
        written += len(part)
        if len(part) < len(rows):
            return written, True
        if not is_told and time.monotonic() - began > _SEARCH_SAYS_AFTER:
            is_told = True
            out.say("searching on: no index answers this filter")
    return written, False


def _show_sorted(source: PostgresSource, asked: Arguments, out: Output, limit: float) -> tuple[int, bool]:
    """Write those that come first in another order; returns how many, and whether there are more."""
    view = View(asked.filter, asked.sort)
    while not source.survey(view).complete:
        pass
    written, total = 0, source.window(view, 0, 1).total.value
    while written < min(limit, total):
        window = source.window(view, written, int(min(limit - written, PAGE)))
        out.jobs(window.rows, window.as_of)
        written += len(window.rows)
        if window.note and written == len(window.rows):
            out.say(window.note)
        if not window.rows:
            break
    return written, written < total


def show_numbers(source: PostgresSource, asked: Arguments, out: Output) -> None:
    """Write how many jobs are in each state, exactly."""
    numbers = source.numbers(asked.filter)
    record = {name: round(numbers.value(name), 3) for name in NAMES}
    if out.format == "table":
        cells = [
            (name, duration(value) if name == "oldest_queued" else f"{value:,.0f}") for name, value in record.items()
        ]
        out.table({"number": 14, "value": 12}, cells)
    else:
        out.record({name: value if name == "oldest_queued" else int(value) for name, value in record.items()})


def show_errors(source: PostgresSource, asked: Arguments, out: Output) -> None:
    """Write the groups of failed jobs."""
    report = source.errors(asked.filter)
    groups = report.groups[: asked.count_limit]
    if out.format == "table":
        columns = {"jobs": 8, "state": 10, "last (UTC)": 14, "same": 8, "types": 30, "message": 60}
        out.table(
            columns,
            [
                (
                    f"{group.jobs:,}",
                    group.state,
                    f"{group.last:%m-%d %H:%M:%S}" if group.last else "",
                    group.fingerprint,
                    ", ".join(name for name, _ in group.types),
                    group.message,
                )
                for group in groups
            ],
        )
    else:
        for group in groups:
            out.record(report_record(group, types=dict(group.types)))
    if not report.complete:
        out.say(f"of the newest {report.examined:,} failed jobs")


def show_types(source: PostgresSource, asked: Arguments, out: Output) -> None:
    """Write how each type of job is doing."""
    report = source.types(asked.filter)
    rows = report.types[: asked.count_limit]
    if out.format == "table":
        columns = {"type": 24, "queued": 8, "running": 8, "finished": 9, "failures": 9, "p50": 8, "p95": 8}
        out.table(
            columns,
            [
                (
                    row.job_type,
                    f"{row.queued:,}",
                    f"{row.running:,}",
                    f"{row.finished:,}",
                    f"{row.failures:,}",
                    duration(row.p50),
                    duration(row.p95),
                )
                for row in rows
            ],
        )
    else:
        for row in rows:
            out.record(report_record(row))
    if not report.complete:
        out.say(f"finished, failures, p50 and p95: of the newest {report.examined:,} finished jobs")


def show_kernels(source: PostgresSource, asked: Arguments, out: Output) -> None:
    """Write the processes that run jobs."""
    kernels, now = source.kernels()[: asked.count_limit], source.now()
    if out.format == "table":
        columns = {"state": 8, "kernel": 24, "host": 16, "pid": 8, "running": 8, "queued": 8, "heartbeat": 10}
        ages = [duration((now - kernel.heartbeat).total_seconds()) for kernel in kernels]
        out.table(
            columns,
            [
                (
                    kernel.state(now),
                    kernel.label,
                    kernel.host,
                    str(kernel.pid),
                    f"{kernel.running:,}",
                    f"{kernel.queued:,}",
                    age,
                )
                for kernel, age in zip(kernels, ages, strict=True)
            ],
        )
    else:
        for kernel in kernels:
            out.record(report_record(kernel, label=kernel.label, state=kernel.state(now)))
