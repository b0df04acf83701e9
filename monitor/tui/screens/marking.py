"""Marks on jobs: one, a range, or everything that the filter lets through."""

from __future__ import annotations

from monitor.model import Target
from monitor.tui.screens.page import Page
from monitor.tui.widgets.job_table import JobTable


class Marking(Page):
    """The part of the jobs' page that marks."""

    def __init__(self) -> None:
        super().__init__()
        self.table = JobTable(id="jobs")
        self.all_marked = False
        self._range_from = 0

    @property
    def has_marks(self) -> bool:
        """True if an action would be about more than the row under the cursor."""
        return self.all_marked or bool(self.table.marked)

    def show_status(self) -> None:
        """Say how many are marked."""
        raise NotImplementedError

    def filter_target(self) -> Target:
        """Everything that the filter lets through."""
        raise NotImplementedError

    def target(self) -> Target | None:
        """All that the filter lets through, or the marked jobs, or the one under the cursor."""
        if self.all_marked:
            return self.filter_target()
        if self.table.marked:
            return Target(job_ids=tuple(self.table.marked))  # type: ignore[arg-type] # the keys are ids
        return super().target()

    def acted(self) -> None:
        """What was marked is done."""
        self.unmark()

    def action_mark(self) -> None:
        """Mark the job under the cursor, or unmark it, and go on."""
        job = self.current_job
        if job is not None:
            self.all_marked = False
            self.table.marked ^= {job.job_id}
            self._range_from = self.table.rows.place(self.table.cursor)
            self.table.action_move(1)
            self.table.repaint([self.table.cursor - 1])
            self.show_status()

    def action_mark_range(self) -> None:
        """Mark everything from the last mark to the cursor."""
        start, end = sorted((self.table.rows.line(self._range_from), self.table.cursor))
        jobs = [self.table.rows[line] for line in range(max(0, start), end + 1)]
        if None in jobs:
            self.monitor.say("that is too far to mark line by line; use a filter, and * for all of it")
            return
        self.all_marked = False
        self.table.marked |= {job.job_id for job in jobs if job is not None}
        self.table.repaint(range(start, end + 1))
        self.show_status()

    def action_mark_all(self) -> None:
        """Let the next action be about everything that the filter lets through."""
        self.all_marked = not self.all_marked
        self.table.marked.clear()
        self.table.refresh()
        self.show_status()

    def unmark(self) -> None:
        """Take all marks away."""
        self.all_marked = False
        self.table.marked.clear()
        self.table.refresh()
        self.show_status()
