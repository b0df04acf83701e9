"""`--follow`: writes every change as it is seen, through restarts of the server, until it is stopped."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from jobnb.errors import DatabaseUnavailable
from monitor.link import WRONG_LOGIN
from monitor.once import told
from monitor.pace import Pace

if TYPE_CHECKING:
    from monitor.arguments import Arguments
    from monitor.output import Output
    from monitor.postgres import PostgresSource
    from monitor.stream import Changes

REFRESH = 0.5
DEFAULT_LIMIT = 10


def follow(source: PostgresSource, asked: Arguments, out: Output) -> int:
    """Write the newest jobs, then each change; returns when a condition of `--until` (0) or `--fail-if` (1) holds.

    Raises:
        JobnbError: the database can't be reached at the start, or can't be used.
    """
    changes = source.changes(asked.filter)
    if asked.follow:
        show_newest(source, asked, out)
    looking, counting = Pace(0.2, asked.refresh or REFRESH), Pace(0.1, asked.refresh or 1.0)
    is_away = False
    while True:
        try:
            with looking.timed():
                _write_changes(changes, source, asked, out)
            code = _code(source, asked, out, counting)
        except DatabaseUnavailable as error:
            _complain_once(error, out, is_away=is_away)
            code, is_away = None, True
        else:
            if is_away:
                out.say("the database is back")
            is_away = False
        if code is not None:
            return code
        time.sleep(max(0.05, looking.wait))


def show_newest(source: PostgresSource, asked: Arguments, out: Output) -> None:
    """Write the newest jobs, the newest one last, as what follows is newer."""
    limit = DEFAULT_LIMIT if asked.limit is None else int(min(asked.limit, 10_000))
    rows = []
    for page in source.newest_first(asked.filter):
        rows += page
        if len(rows) >= limit:
            break
    out.jobs(rows[:limit][::-1], source.now())


def _write_changes(changes: Changes, source: PostgresSource, asked: Arguments, out: Output) -> None:
    rows = changes.look()
    if asked.follow:
        out.jobs(rows, source.now())


def _code(source: PostgresSource, asked: Arguments, out: Output, counting: Pace) -> int | None:
    if not (asked.fail_if or asked.until) or not counting.is_due:
        return None
    with counting.timed():
        numbers = source.numbers(asked.filter)
    for conditions, code in ((asked.fail_if, 1), (asked.until, 0)):
        for condition in conditions:
            if condition.holds(numbers):
                out.say(f"{condition.text}: {told(condition, numbers)}")
                return code
    return None


def _complain_once(error: DatabaseUnavailable, out: Output, *, is_away: bool) -> None:
    if error.sqlstate in WRONG_LOGIN:
        raise error
    if not is_away:
        out.complain(f"{error}; trying again")
