"""Requests to the process that runs a job: to stop it, to run it again. They are in its row, where that process looks.

The table itself ends a queued job that no process has taken, when it is asked to stop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, literal, select, update

from jobnb.checks import check_id
from jobnb.db.statement import statement
from jobnb.db.tables import STATUS, UNFINISHED, UTC_NOW, jobs, kernels
from jobnb.errors import InvalidInput, InvalidTransition, JobNotFound
from jobnb.ids import new_job_id
from jobnb.models import Job

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy import Connection

RETRY_KEEPS = (
    "document_id",
    "property_id",
    "job_type",
    "name",
    "initial_data",
    "kernel_id",
    "source",
    "group_id",
)
"""What a job has in common with the one that repeats it."""


@statement(transaction=True)
def cancel_job(conn: Connection, job_id: UUID, force: bool = False) -> bool:
    """Ask a job to stop.

    A job that no process has taken ends at once, as failed with `error_kind` cancelled. Otherwise the request is
    recorded; the process that runs the job notices within a second and stops it if it can, and the row turns final
    when its code has ended.

    Args:
        job_id: which job.
        force: stop it even if its code does not listen, see `JobHandle.cancel`.

    Returns:
        True if the job was unfinished and the request is recorded, False if it had ended already.

    Raises:
        JobNotFound: no such job.
    """
    job_id = check_id("job_id", job_id)
    unfinished = STATUS.in_(UNFINISHED)
    request = cancel_request(force=force)
    requested = conn.execute(update(jobs).where(jobs.c.job_id == job_id, unfinished).values(request))
    if requested.rowcount:
        return True
    # a second statement: the first one's snapshot may be older than the row it waited for
    if conn.execute(select(jobs.c.job_id).where(jobs.c.job_id == job_id)).first() is None:
        raise JobNotFound(job_id)
    return False


def cancel_request(*, force: bool = False) -> dict[str, Any]:
    """What asking an unfinished job to stop changes in its row.

    Only these columns: a role that just watches may write them, and the table itself ends what nobody has taken.
    """
    return {
        "cancel_requested_at": func.coalesce(jobs.c.cancel_requested_at, func.now()),
        "cancel_force": func.coalesce(jobs.c.cancel_force, False) | literal(force),
    }


def cancel_requests(conn: Connection, kernel_id: UUID) -> list[tuple[UUID, bool]]:
    """The unfinished jobs of a process that somebody asked to stop, and whether by force."""
    query = select(jobs.c.job_id, func.coalesce(jobs.c.cancel_force, False)).where(
        jobs.c.kernel_id == kernel_id, jobs.c.status.in_(UNFINISHED), jobs.c.cancel_requested_at.is_not(None)
    )
    return [(row[0], row[1]) for row in conn.execute(query)]


@statement(transaction=True)
def retry_job(conn: Connection, job_id: UUID) -> Job:
    """Ask for a finished job to be run again, as a new job whose `retry_of` names this one.

    The function and its arguments live in the process that ran it; that process notices within a second or two.

    Raises:
        JobNotFound: no such job.
        InvalidTransition: it has not ended yet.
        InvalidInput: the process that had the function is gone, or never was; submit it again there.
    """
    job_id = check_id("job_id", job_id)
    old = conn.execute(select(jobs).where(jobs.c.job_id == job_id)).mappings().first()
    if old is None:
        raise JobNotFound(job_id)
    if old["status"] not in ("done", "failed"):
        raise InvalidTransition(job_id, old["status"] or "scheduled", "scheduled again")
    alive = select(kernels.c.kernel_id).where(kernels.c.kernel_id == old["kernel_id"], kernels.c.stopped_at.is_(None))
    if conn.execute(alive).first() is None:
        raise InvalidInput(
            f"job {job_id} can't be run again from here: the process that had its function and arguments is gone; "
            "submit it again (its source column has the function's text)",
            argument="job_id",
        )
    row = conn.execute(
        insert(jobs)
        .values(job_id=new_job_id(), retry_of=job_id, created_at=UTC_NOW, **{name: old[name] for name in RETRY_KEEPS})
        .returning(jobs)
    )
    return Job.from_row(row.mappings().one())


def retry_requests(conn: Connection, kernel_id: UUID) -> list[tuple[UUID, UUID]]:
    """The jobs that somebody asked a process to run again: new id, id of the original."""
    query = select(jobs.c.job_id, jobs.c.retry_of).where(
        jobs.c.kernel_id == kernel_id, jobs.c.status == "scheduled", jobs.c.retry_of.is_not(None)
    )
    return [(row[0], row[1]) for row in conn.execute(query)]
