"""`Work`: a function as it is to be run and tracked. `accept` makes a call of it a job, with its first event."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from jobnb.ids import new_id_text
from jobnb.recorder.events import Event, EventKind, json_text
from jobnb.tracking.execution import Execution

if TYPE_CHECKING:
    import contextvars
    from collections.abc import Callable

    from jobnb.calls import Callee

REMEMBERED = 50
"""For how many sets of options the shared text of one function is kept."""


class Place(Protocol):
    """Where tasks run.

    Attributes:
        name: for the column `executor`.
    """

    name: str

    def start(self, task: Callable[[], None], failed: Callable[[str], None]) -> None:
        """Run a task some time; call `failed` with words if that is impossible."""


class Options(NamedTuple):
    """How a call is to be tracked, checked already.

    Attributes:
        job_type: the kind of job.
        name: what a person calls it; None for the function's name.
        timeout: seconds, or None.
        retries: how many further attempts a failure gets.
        members: the other columns the acceptance sets, as JSON members.
    """

    job_type: str
    name: str | None = None
    timeout: float | None = None
    retries: int = 0
    members: str = ""


class Work(NamedTuple):
    """What the calls of one `map`, or a single `submit`, have in common; enough to run a call, and to run it again.

    Attributes:
        callee: what is known about the function.
        fn: the function.
        options: how it is tracked.
        place: where it runs.
        shared: the columns that every job of this work has alike, as JSON members.
    """

    callee: Callee
    fn: Callable[..., Any]
    options: Options
    place: Place
    shared: str


def make_work(callee: Callee, fn: Callable[..., Any], options: Options, place: Place, kernel_id: str) -> Work:
    """Put a `Work` together; the shared text is made once for each function, not for each call."""
    key = (options, place.name, kernel_id)
    shared = callee.shared.get(key)
    if shared is None:
        if len(callee.shared) > REMEMBERED:
            callee.shared.clear()
        shared = callee.shared[key] = f'"job_type":{json_text(options.job_type)},{run_members(*key, callee)}'
    return Work(callee, fn, options, place, shared)


def run_members(options: Options, place: str, kernel_id: str, callee: Callee) -> str:
    """The columns that say who runs what."""
    members = (
        f'"kernel_id":"{kernel_id}","name":{json_text(options.name or callee.name)},'
        f'"executor":{json_text(place)},"source":{callee.source}'
    )
    if options.retries:
        members += f',"max_attempts":{options.retries + 1}'
    if options.timeout is not None:
        members += f',"timeout_s":{options.timeout!r}'
    return f"{members},{options.members}" if options.members else members


def accept(
    work: Work, args: tuple[Any, ...], kwargs: dict[str, Any], context: contextvars.Context, group_id: str | None
) -> tuple[Execution, Event]:
    """Make a call a job, and the event that tells so."""
    execution = Execution(new_id_text(), work, args, kwargs, context)
    execution.created = created = time.time()
    members = f'"created_at":{created:.6f}'
    if group_id is not None:
        execution.group_id = group_id
        members += f',"group_id":"{group_id}"'
    return execution, Event(EventKind.NEW, execution.job_id, 1, members, work.shared)
