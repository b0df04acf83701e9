"""Queries by which somebody changes one job at a time, each in one transaction.

The state machine is in every WHERE here, and in the table's own trigger for all other writers.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import ColumnElement, Text, cast, delete, func, insert, literal, select, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import DateTime

from jobnb.checks import check_id
from jobnb.db.statement import statement
from jobnb.db.tables import jobs, kernels
from jobnb.errors import InvalidInput, InvalidTransition, JobNotFound
from jobnb.ids import new_job_id
from jobnb.models import Job, JobCreate, JobStatus, JobUpdate
from jobnb.values import encode_fields

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

_NOW: ColumnElement[datetime] = func.timezone("utc", func.clock_timestamp(), type_=DateTime())

# which states may precede each status; the same state again may correct its result or message
_BEFORE = {
    JobStatus.SCHEDULED: (JobStatus.SCHEDULED,),
    JobStatus.IN_PROGRESS: (JobStatus.SCHEDULED, JobStatus.IN_PROGRESS),
    JobStatus.DONE: (JobStatus.SCHEDULED, JobStatus.IN_PROGRESS, JobStatus.DONE),
    JobStatus.FAILED: (JobStatus.SCHEDULED, JobStatus.IN_PROGRESS, JobStatus.FAILED),
}
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
_SCHEDULED = literal("scheduled", jobs.c.status.type)
_MESSAGE_LIMIT = 100_000


@statement(transaction=True)
def create_job(conn: Connection, job_data: JobCreate) -> Job:
    """Store a new job, scheduled, for somebody to start.

    Raises:
        InvalidInput: `job_data` is no JobCreate, or names a document or property that is not there.
    """
    if not isinstance(job_data, JobCreate):
        raise InvalidInput(
            f"job_data has the type {type(job_data).__name__}: give a JobCreate(job_type=...)", argument="job_data"
        )
    values = job_data.model_dump(exclude={"initial_data"})
    if job_data.initial_data is not None:
        values["initial_data"] = _json(job_data.initial_data)
    row = conn.execute(
        insert(jobs).values(job_id=new_job_id(), status="scheduled", created_at=_NOW, **values).returning(jobs)
    )
    return Job.from_row(row.mappings().one())


@statement(transaction=True)
def start_job(conn: Connection, job_id: UUID) -> Job:
    """Mark a job as started now. Once it has been started, starting it again changes nothing.

    Raises:
        JobNotFound: no such job.
        InvalidTransition: it is done or failed.
    """
    return _change(conn, job_id, JobStatus.IN_PROGRESS, {"started_at": func.coalesce(jobs.c.started_at, _NOW)})


@statement(transaction=True)
def complete_job(conn: Connection, job_id: UUID, result: Mapping[str, Any] | None = None) -> Job:
    """Mark a job as done, with this result; on a job that is done already, the result replaces the one it has.

    Args:
        job_id: which job.
        result: an object, stored as given. None leaves the result as it is.

    Raises:
        JobNotFound: no such job.
        InvalidTransition: it failed.
        InvalidInput: `result` is no mapping with text keys.
    """
    return _change(conn, job_id, JobStatus.DONE, {**_ending(), **_result(result)})


@statement(transaction=True)
def fail_job(conn: Connection, job_id: UUID, error_message: str) -> Job:
    """Mark a job as failed; on a job that failed already, the message replaces the one it has.

    Raises:
        JobNotFound: no such job.
        InvalidTransition: it is done.
    """
    kind = func.coalesce(jobs.c.error_kind, "error")
    message = _message(error_message)
    return _change(conn, job_id, JobStatus.FAILED, {**_ending(), "error_message": message, "error_kind": kind})


@statement(transaction=True)
def update_job_status(conn: Connection, job_id: UUID, update_data: JobUpdate) -> Job:
    """Change what `update_data` names, and nothing else; a status that begins or ends a job sets its time too.

    Raises:
        JobNotFound: no such job.
        InvalidTransition: the state machine does not allow that status.
        InvalidInput: `update_data` is no JobUpdate, or its result can't be stored.
    """
    if not isinstance(update_data, JobUpdate):
        raise InvalidInput(
            f"update_data has the type {type(update_data).__name__}: give a JobUpdate(...)", argument="update_data"
        )
    values = _result(update_data.result)
    if update_data.status is JobStatus.IN_PROGRESS:
        values["started_at"] = func.coalesce(jobs.c.started_at, _NOW)
    elif update_data.status is not None and update_data.status.is_final:
        values |= _ending()
    if update_data.status is JobStatus.FAILED:
        values["error_kind"] = func.coalesce(jobs.c.error_kind, "error")
    for moment in ("started_at", "finished_at"):
        if (given := getattr(update_data, moment)) is not None:
            values[moment] = given.replace(tzinfo=None)
    if update_data.error_message is not None:
        values["error_message"] = _message(update_data.error_message)
    return _change(conn, job_id, update_data.status, values)


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
    unfinished = func.coalesce(jobs.c.status, _SCHEDULED).in_(("scheduled", "in_progress"))
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


def take_job(conn: Connection, job_id: UUID, kernel_id: UUID) -> str:
    """Let one process have an unfinished job that nobody runs; returns the kind of job it is.

    Raises:
        JobNotFound: no such job.
        InvalidTransition: it has ended, or another process has it.
    """
    free = jobs.c.kernel_id.is_(None) | (jobs.c.kernel_id == kernel_id)
    unfinished = func.coalesce(jobs.c.status, _SCHEDULED).in_(("scheduled", "in_progress"))
    taken = conn.execute(
        update(jobs)
        .where(jobs.c.job_id == job_id, free, unfinished)
        .values(kernel_id=kernel_id)
        .returning(jobs.c.job_type)
    ).scalar()
    if taken is not None:
        return str(taken)
    status = conn.execute(select(func.coalesce(jobs.c.status, _SCHEDULED)).where(jobs.c.job_id == job_id)).scalar()
    if status is None:
        raise JobNotFound(job_id)
    has_ended = status in ("done", "failed")
    raise InvalidTransition(job_id, status, "in_progress" if has_ended else "in_progress here, another process has it")


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
        .values(job_id=new_job_id(), retry_of=job_id, created_at=_NOW, **{name: old[name] for name in RETRY_KEEPS})
        .returning(jobs)
    )
    return Job.from_row(row.mappings().one())


@statement(transaction=True, deadline=300.0)
def delete_jobs(conn: Connection, job_ids: Sequence[UUID]) -> int:
    """Delete finished jobs with their logs and values; unfinished ones and unknown ids are left alone.

    Returns:
        How many were deleted.

    Raises:
        InvalidInput: not ids.
    """
    if isinstance(job_ids, (str, UUID)) or not isinstance(job_ids, Iterable):
        job_ids = [check_id("job_ids", job_ids)]
    ids = [check_id("job_ids", job_id) for job_id in job_ids]
    finished = jobs.c.status.in_(("done", "failed"))
    return conn.execute(delete(jobs).where(jobs.c.job_id.in_(ids), finished)).rowcount


@statement(transaction=True, deadline=3600.0)
def purge(conn: Connection, older_than: timedelta) -> int:
    """Delete the jobs that finished longer ago than `older_than`, with their logs and values.

    Returns:
        How many were deleted.

    Raises:
        InvalidInput: a negative span.
    """
    if older_than < timedelta(0):
        raise InvalidInput(f"older_than is {older_than}: give a positive span", argument="older_than")
    old = jobs.c.finished_at < _NOW - older_than
    return conn.execute(delete(jobs).where(jobs.c.status.in_(("done", "failed")), old)).rowcount


def _change(conn: Connection, job_id: UUID, status: JobStatus | None, values: dict[str, Any]) -> Job:
    job_id = check_id("job_id", job_id)
    query = update(jobs).where(jobs.c.job_id == job_id)
    if status is not None:
        # `lost` is a suspicion: whoever says how the job really ended is believed
        lost = (jobs.c.error_kind == "lost") & literal(status.is_final)
        query = query.where(func.coalesce(jobs.c.status, _SCHEDULED).in_(_BEFORE[status]) | lost)
        values["status"] = status.value
        if status is JobStatus.DONE:
            values |= {"error_kind": None, "error_message": values.get("error_message")}
    if not values:
        query = query.values(job_id=jobs.c.job_id)
    row = conn.execute(query.values(values).returning(jobs)).mappings().first()
    if row is not None:
        return Job.from_row(row)
    current = conn.execute(select(jobs.c.status).where(jobs.c.job_id == job_id)).scalar()
    if current is None:
        raise JobNotFound(job_id)
    raise InvalidTransition(job_id, current, str(status))


def _ending() -> dict[str, Any]:
    return {"finished_at": func.coalesce(jobs.c.finished_at, _NOW)}


def _result(result: Mapping[str, Any] | None) -> dict[str, Any]:
    if result is None:
        return {}
    encoded = encode_fields("result", result)
    return {
        "result": _literal_json(encoded.json),
        "result_order": None if encoded.order is None else _literal_json(encoded.order),
        "result_error": encoded.error,
    }


def _json(value: Mapping[str, Any]) -> Any:
    return _literal_json(encode_fields("initial_data", value).json)


def _literal_json(json_text: str) -> Any:
    return cast(literal(json_text, Text), JSONB)


def _message(error_message: object) -> str:
    if not isinstance(error_message, str):
        raise InvalidInput(f"error_message is {error_message!r:.80}: give a text", argument="error_message")
    clean = error_message.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")
    return clean if len(clean) <= _MESSAGE_LIMIT else clean[:_MESSAGE_LIMIT] + " … (cut)"
