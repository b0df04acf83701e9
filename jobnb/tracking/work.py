"""`Work`: how a function is to be run and tracked. `accept` makes a call of it a job, with its first event."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from jobnb.ids import new_id_text
from jobnb.recorder.events import Event, EventKind, json_text
from jobnb.tracking.execution import Execution
from jobnb.tracking.mapped import MappedJobs

if TYPE_CHECKING:
    import contextvars
    from collections.abc import Callable, Sequence
    from uuid import UUID

    from jobnb.calls import Callee

REMEMBERED = 50
"""For how many sets of options the work of one function is kept."""


class Place(Protocol):
    """An executor that the caller brought, and owns.

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
    """What the calls of one function with the same options have in common.

    Attributes:
        callee: what is known about the function.
        options: how it is tracked.
        place: where it runs; None for jobnb's own threads.
        shared: the columns that every job of this work has alike, as JSON members.
        is_plain: the function is called once, and is no coroutine function.
        group_id: of the `map` it is part of.
    """

    callee: Callee
    options: Options
    place: Place | None
    shared: str
    is_plain: bool
    group_id: UUID | None = None


def make_work(callee: Callee, options: Options, place: Place | None, kernel_id: str) -> Work:
    """Put a `Work` together; for jobnb's own threads once for each function and set of options, not for each call."""
    if place is not None:
        return _new_work(callee, options, place, kernel_id)  # nobody but the caller keeps an executor alive
    key = (options, kernel_id)
    work: Work | None = callee.works.get(key)
    if work is None:
        if len(callee.works) > REMEMBERED:
            callee.works.clear()
        work = callee.works[key] = _new_work(callee, options, None, kernel_id)
    return work


def _new_work(callee: Callee, options: Options, place: Place | None, kernel_id: str) -> Work:
    shared = _shared_members(options, "threads" if place is None else place.name, kernel_id, callee)
    return Work(callee, options, place, shared, not (options.retries or callee.is_async))


def _shared_members(options: Options, place: str, kernel_id: str, callee: Callee) -> str:
    """The columns that say who runs what."""
    members = (
        f'"job_type":{json_text(options.job_type)},"kernel_id":"{kernel_id}",'
        f'"name":{json_text(options.name or callee.name)},"executor":{json_text(place)},"source":{callee.source}'
    )
    if options.retries:
        members += f',"max_attempts":{options.retries + 1}'
    if options.timeout is not None:
        members += f',"timeout_s":{options.timeout!r}'
    return f"{members},{options.members}" if options.members else members


def accept(
    work: Work, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], context: contextvars.Context
) -> tuple[Execution, Event]:
    """Make a call a job, and the event that tells so."""
    execution = Execution(new_id_text(), work, fn, args, kwargs, context)
    execution.created = created = time.time()
    execution.accepted_at = accepted_at = f"{created:.6f}"
    execution.accepted = f'"created_at":{accepted_at},'
    members = f'{execution.accepted}"status":"scheduled"'
    return execution, Event(EventKind.NEW, execution.job_id, 1, members, work.shared)


def accept_all(
    work: Work, fn: Callable[..., Any], calls: Sequence[tuple[Any, ...]], context: contextvars.Context, owner: object,
    group_id: UUID,
) -> MappedJobs:  # fmt: skip
    """Make many calls jobs of one group; they share the moment of their acceptance."""
    created = time.time()
    shared = f'{work.shared},"created_at":{created:.6f},"group_id":"{group_id}"'
    return MappedJobs(work._replace(shared=shared, group_id=group_id), fn, calls, created, context, owner)
