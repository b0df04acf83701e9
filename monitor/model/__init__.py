"""What the monitor shows, as plain immutable values: nothing here reads a database or draws.

Texts of jobs are as they are stored, whatever is in them: whoever shows one passes it through `monitor.terminal`
first. Times are aware, in UTC, and the server's: compare them with `Source.now()`, never with this machine's clock.
"""

from __future__ import annotations

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
from monitor.model.actions import Action, JobOutcome, Outcome, Plan, Progress, Target
from monitor.model.link import Access, LinkState, LinkStatus, Server
from monitor.model.lists import NEWEST, SORT_KEYS, Count, Search, Sort, Spot, Survey, View, Window
from monitor.model.numbers import Bucket, Completion, Detail, ErrorReport, LogPage, Overview, TypeReport

__all__ = [
    "ACTIVE_STATES",
    "EVERYTHING",
    "FAILED_STATES",
    "NEWEST",
    "SORT_KEYS",
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
