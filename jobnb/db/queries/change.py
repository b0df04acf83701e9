"""Queries by which a caller says what state a job is in, one at a time, each in one transaction.

The state machine is in every WHERE here, and in the table's own trigger for all other writers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Text, cast, func, insert, literal, select, update
from sqlalchemy.dialects.postgresql import JSONB

from jobnb.checks import check_id
from jobnb.db.statement import statement
from jobnb.db.tables import STATUS, UTC_NOW, jobs
from jobnb.errors import InvalidInput, InvalidTransition, JobNotFound
from jobnb.ids import new_job_id
from jobnb.models import Job, JobCreate, JobStatus, JobUpdate
from jobnb.values import encode_fields

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from sqlalchemy import Connection

# which states may precede each status; the same state again may correct its result or message
_BEFORE = {
    JobStatus.SCHEDULED: (JobStatus.SCHEDULED,),
    JobStatus.IN_PROGRESS: (JobStatus.SCHEDULED, JobStatus.IN_PROGRESS),
    JobStatus.DONE: (JobStatus.SCHEDULED, JobStatus.IN_PROGRESS, JobStatus.DONE),
    JobStatus.FAILED: (JobStatus.SCHEDULED, JobStatus.IN_PROGRESS, JobStatus.FAILED),
}
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
        insert(jobs).values(job_id=new_job_id(), status="scheduled", created_at=UTC_NOW, **values).returning(jobs)
    )
    return Job.from_row(row.mappings().one())


@statement(transaction=True)
def start_job(conn: Connection, job_id: UUID) -> Job:
    """Mark a job as started now. Once it has been started, starting it again changes nothing.

    Raises:
        JobNotFound: no such job.
        InvalidTransition: it is done or failed.
    """
    return _change(conn, job_id, JobStatus.IN_PROGRESS, {"started_at": func.coalesce(jobs.c.started_at, UTC_NOW)})


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
        values["started_at"] = func.coalesce(jobs.c.started_at, UTC_NOW)
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


def _change(conn: Connection, job_id: UUID, status: JobStatus | None, values: dict[str, Any]) -> Job:
    job_id = check_id("job_id", job_id)
    query = update(jobs).where(jobs.c.job_id == job_id)
    if status is not None:
        # `lost` is a suspicion: whoever says how the job really ended is believed
        lost = (jobs.c.error_kind == "lost") & literal(status.is_final)
        query = query.where(STATUS.in_(_BEFORE[status]) | lost)
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
    return {"finished_at": func.coalesce(jobs.c.finished_at, UTC_NOW)}


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
