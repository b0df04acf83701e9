"""`PostgresSource`: everything the monitor shows and does, from the rows that the notebooks write."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

from jobnb.db import queries
from jobnb.db.queries import counts, detail, places, reports, stream, window
from jobnb.errors import InvalidInput, JobnbError
from monitor.actions import Actions
from monitor.board import Board
from monitor.completion import complete
from monitor.conditions import Numbers
from monitor.kept import KEPT, KeptList
from monitor.link import Link
from monitor.model import EVERYTHING, NEWEST, Count, Detail, ErrorReport, LogPage, TypeReport, View
from monitor.ordered import OrderedList
from monitor.pace import Pace
from monitor.places import BOTTOM
from monitor.stream import Changes, newest_first
from monitor.walked import WalkedList

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from jobnb.settings import Settings
    from monitor.model import (
        Action,
        Completion,
        Filter,
        JobRow,
        KernelRow,
        LinkState,
        Mark,
        Outcome,
        Overview,
        Plan,
        Progress,
        Sort,
        Spot,
        Survey,
        Target,
        Window,
    )

    Listing = WalkedList | KeptList | OrderedList

T = TypeVar("T")

SLOW_PAGE_SECONDS = 0.06
"""If a page of a short list takes longer than this twice, its places are kept in memory instead."""
EXAMINED_ERRORS = 2_000
EXAMINED_ENDS = 10_000
KERNELS = 200
COUNTED = 20_000
"""Up to about so many jobs are counted rather than estimated."""
_LISTS = 8


class PostgresSource:
    """A `monitor.source.Source` over PostgreSQL: the embedded server, or the one that the settings name.

    Args:
        settings: which database.
        read_only: refuse every action.
        recovers: close the jobs of processes that died; None for what `read_only` leaves.

    Raises:
        ConfigurationError: the address can't be right.
    """

    def __init__(self, settings: Settings, *, read_only: bool = False, recovers: bool | None = None) -> None:
        self._link = Link(settings, read_only=read_only, recovers=not read_only if recovers is None else recovers)
        self._board = Board(self._link)
        self._actions = Actions(self._link)
        self._lock = threading.Lock()
        self._lists: OrderedDict[tuple[Filter, Sort], Listing] = OrderedDict()
        self._reports: OrderedDict[object, tuple[Pace, object]] = OrderedDict()

    def link(self) -> LinkState:
        """See `Source`."""
        return self._link.state()

    def now(self) -> datetime:
        """See `Source`."""
        return self._link.now()

    def reconnect(self) -> None:
        """See `Source`."""
        self._link.reconnect()

    def close(self) -> None:
        """See `Source`."""
        self._link.close()

    # -- the list of jobs

    def window(self, view: View, first: int, count: int, anchor: Mark | None = None) -> Window:
        """See `Source`."""
        return self._listing(view).window(view, first, count, anchor)

    def survey(self, view: View) -> Survey:
        """See `Source`."""
        listing = self._listing(view)
        if isinstance(listing, WalkedList) and _is_better_kept(listing):
            listing = KeptList(self._link, view.filter)
            while not listing.survey().complete:
                pass
            self._keep((view.filter, view.sort), listing)
        return listing.survey()

    def locate(self, view: View, job_id: UUID) -> Spot | None:
        """See `Source`."""
        return self._listing(view).locate(view, job_id)

    def next_failure(self, view: View, start: Mark | None, *, older: bool) -> Spot | None:
        """See `Source`."""
        return self._listing(view).next_failure(view, start, older=older)

    def rows(self, job_ids: Sequence[UUID]) -> dict[UUID, JobRow]:
        """See `Source`."""
        return self._link.run(window.read_rows, job_ids)

    def find(self, digits: str) -> list[JobRow]:
        """See `Source`."""
        wanted = digits.strip().casefold().replace("-", "")
        if not re.fullmatch("[0-9a-f]{1,32}", wanted):
            raise InvalidInput(f"{digits!r:.80} is no id: give some of its hex digits", argument="digits")
        ids = [UUID(wanted)] if len(wanted) == 32 else self._link.run(queries.find_job_ids, wanted, 10)
        return list(self.rows(ids).values())

    # -- other screens

    def overview(self) -> Overview:
        """See `Source`."""
        return self._board.overview()

    def detail(self, job_id: UUID) -> Detail | None:
        """See `Source`."""
        job = self._link.run(queries.get_job, job_id)
        row = None if job is None else self.rows([job_id]).get(job_id)
        if job is None or row is None:
            return None
        around = self._link.run(detail.read_surroundings, job)
        others = self.rows([*around.retries, *([job.retry_of] if job.retry_of else [])])
        kernel = self._link.run(reports.read_kernel, job.kernel_id) if job.kernel_id else None
        self._link.set_clock(around.as_of)
        return Detail(
            job=job,
            row=row,
            kernel=kernel,
            log_lines=around.log_lines,
            values=around.values,
            retries=tuple(others[retry] for retry in around.retries if retry in others),
            original=others.get(job.retry_of) if job.retry_of else None,
            group=_by_state(around.group),
            queue=around.queue,
            as_of=around.as_of,
        )

    def log(self, job_id: UUID, *, after: int | None = None, before: int | None = None, limit: int = 500) -> LogPage:
        """See `Source`."""
        lines, last = self._link.run(detail.read_log, job_id, after, before, limit)
        return LogPage(tuple(lines), last)

    def errors(self, wanted: Filter | None = None) -> ErrorReport:
        """See `Source`."""
        return self._report(("errors", wanted), lambda: self._read_errors(wanted or EVERYTHING))

    def types(self, wanted: Filter | None = None) -> TypeReport:
        """See `Source`."""
        return self._report(("types", wanted), lambda: self._read_types(wanted or EVERYTHING))

    def kernels(self) -> list[KernelRow]:
        """See `Source`."""
        return self._report("kernels", lambda: self._link.run(reports.read_kernels, KERNELS))

    def complete(self, text: str, cursor: int) -> list[Completion]:
        """See `Source`."""
        return complete(text, cursor, self._look_up)

    # -- for scripts

    def numbers(self, wanted: Filter = EVERYTHING) -> Numbers:
        """How many of the wanted jobs are in each state: exact, and as slow as that is."""
        found, oldest = self._link.run(stream.count_states, wanted)
        return Numbers(found, oldest, self._link.now())

    def estimate(self, wanted: Filter) -> Count | None:
        """How many jobs are wanted, at once: exactly if they are few, about if they are many.

        Returns:
            None if no index answers the filter, as then nobody knows.
        """
        if not wanted.is_indexed:
            return None
        about = self._link.run(window.estimate, wanted)
        if about > COUNTED:
            return Count(about, exact=False)
        return Count(self._link.run(places.count_above, wanted, BOTTOM, 10**9))

    def newest_first(self, wanted: Filter) -> Iterator[list[JobRow]]:
        """All of the wanted jobs, in pages."""
        return newest_first(self._link, wanted)

    def changes(self, wanted: Filter) -> Changes:
        """What changes from now on."""
        return Changes(self._link, wanted)

    # -- actions

    def plan(self, action: Action, target: Target) -> Plan:
        """See `Source`."""
        return self._actions.plan(action, target)

    def execute(self, plan: Plan, progress: Callable[[Progress], bool] | None = None) -> Outcome:
        """See `Source`."""
        return self._actions.execute(plan, progress)

    def undo(self, outcome: Outcome) -> Outcome:
        """See `Source`."""
        return self._actions.undo(outcome)

    # -- helpers

    def _listing(self, view: View) -> Listing:
        key = (view.filter, view.sort)
        with self._lock:
            listing = self._lists.get(key)
            if listing is not None:
                self._lists.move_to_end(key)
        return listing or self._keep(key, self._make_list(*key))

    def _make_list(self, wanted: Filter, sort: Sort) -> Listing:
        if sort != NEWEST:
            return OrderedList(self._link, wanted, sort)
        return WalkedList(self._link, wanted) if wanted.is_indexed else KeptList(self._link, wanted)

    def _keep(self, key: tuple[Filter, Sort], listing: Listing) -> Listing:
        with self._lock:
            self._lists[key] = listing
            while len(self._lists) > _LISTS:
                self._lists.popitem(last=False)
        return listing

    def _read_errors(self, wanted: Filter) -> ErrorReport:
        found = self._link.run(reports.group_errors, wanted, EXAMINED_ERRORS)
        complete = found.examined < EXAMINED_ERRORS
        return ErrorReport(tuple(found.rows), found.examined, complete, found.since, found.as_of)

    def _read_types(self, wanted: Filter) -> TypeReport:
        found = self._link.run(reports.sum_up_types, wanted, EXAMINED_ENDS)
        complete = found.examined < EXAMINED_ENDS
        return TypeReport(tuple(found.rows), found.examined, complete, found.since, found.as_of)

    def _report(self, key: object, read: Callable[[], T]) -> T:
        """A report, read anew if that is worth it: two of a hundred seconds may go into one."""
        with self._lock:
            pace, kept = self._reports.get(key) or (Pace(0.02, 0.9), None)
        if kept is None or pace.is_due:
            with pace.timed():
                kept = read()
            with self._lock:
                self._reports[key] = (pace, kept)
                while len(self._reports) > _LISTS:
                    self._reports.popitem(last=False)
        return kept  # type: ignore[return-value] # what `read` gave for this key

    def _look_up(self, key: str, beginning: str) -> list[str]:
        try:
            if key == "type":
                return self._link.run(counts.list_types, beginning)
            labels = dict.fromkeys(kernel.label for kernel in self.kernels())
        except JobnbError:
            return []  # the language itself is known without the database
        return [label for label in labels if label.casefold().startswith(beginning.casefold())]


def _is_better_kept(listing: WalkedList) -> bool:
    return listing.usual_page > SLOW_PAGE_SECONDS and listing.length is not None and listing.length < KEPT


def _by_state(group: list[tuple[str, str | None, int]]) -> dict[str, int]:
    states: dict[str, int] = {}
    for status, kind, count in group:
        state = kind if status == "failed" and kind in ("cancelled", "timeout", "lost") else status or "scheduled"
        states[state] = states.get(state, 0) + count
    return states
