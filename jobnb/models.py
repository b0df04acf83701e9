"""The data that crosses the API: a job as its row tells it, and what a caller may write."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from jobnb.checks import aware, check_id, check_job_type, check_status, check_text
from jobnb.errors import InvalidInput
from jobnb.states import JobStatus, state_of

__all__ = ["Job", "JobCreate", "JobStatus", "JobUpdate", "LogLine"]


class _Model(BaseModel):
    """A pydantic model whose constructor raises jobnb's own error."""

    model_config = ConfigDict(extra="forbid")

    def __init__(self, **data: Any) -> None:
        try:
            super().__init__(**data)
        except ValidationError as error:
            raise _refusal(type(self).__name__, error) from None


def _refusal(model: str, error: ValidationError) -> InvalidInput:
    first = error.errors(include_url=False)[0]
    ours = first.get("ctx", {}).get("error")
    if isinstance(ours, InvalidInput):
        return ours
    name = ".".join(str(part) for part in first["loc"]) or model
    given = "" if first["type"] == "missing" else f" (given {first['input']!r:.80})"
    return InvalidInput(f"{model}: {name}: {first['msg']}{given}", argument=name)


class JobCreate(_Model):
    """What `create_job` takes.

    Attributes:
        job_type: the kind of job, 1 to 50 characters.
        document_id: the document it belongs to, in the table `documents`.
        property_id: the property it belongs to, in the table `properties`.
        initial_data: what the job starts from; kept in a column of its own, beside the result.
        name: what a person calls this job.
    """

    job_type: str
    document_id: UUID | None = None
    property_id: UUID | None = None
    initial_data: dict[str, Any] | None = None
    name: str | None = None

    @field_validator("job_type", mode="before")
    @classmethod
    def _job_type(cls, value: object) -> str:
        return check_job_type(value)

    @field_validator("name", mode="before")
    @classmethod
    def _name(cls, value: object) -> str | None:
        return None if value is None else check_text("name", value)

    @field_validator("document_id", "property_id", mode="before")
    @classmethod
    def _id(cls, value: object, info: ValidationInfo) -> UUID | None:
        return None if value is None else check_id(str(info.field_name), value)


class JobUpdate(_Model):
    """What `update_job_status` takes; None leaves a field as it is.

    Attributes:
        status: the new status; the state machine must allow it.
        started_at: when the function began; a naive time is UTC.
        finished_at: when it ended; a naive time is UTC.
        result: stored as given; an object.
        error_message: what went wrong.
    """

    status: JobStatus | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    result: dict[str, Any] | None = None
    error_message: str | None = None

    @field_validator("status", mode="before")
    @classmethod
    def _status(cls, value: object) -> JobStatus | None:
        return None if value is None else check_status(value)

    @field_validator("started_at", "finished_at")
    @classmethod
    def _utc(cls, value: datetime | None) -> datetime | None:
        return aware(value)


class Job(BaseModel):
    """One row of the table `jobs`, as it was when it was read. Times are aware and in UTC.

    Attributes:
        job_id: time-ordered (version 7) if jobnb made it.
        document_id: the document it belongs to.
        job_type: the kind of job.
        status: one of the four.
        created_at: when it was accepted.
        started_at: when its function began; None before that.
        finished_at: when it ended; None before that.
        result: an object; `{"result": value}` for a function's return value, `{}` before the end.
        error_message: what went wrong in one line; None unless it failed.
        property_id: the property it belongs to.
        name: what a person calls it.
        initial_data: what `create_job` was given.
        error_kind: `error`, `cancelled`, `timeout` or `lost` for a failed job; None otherwise.
        traceback: the whole traceback of a failed job; None in lists, which do not carry it.
        progress: done so far, in [0, 1]; None if the job never said.
        progress_message: what it is doing, in its own words.
        attempt: counts from 1; grows when `retries=` runs the function again.
        max_attempts: how many attempts it has.
        timeout_s: seconds its function may take; None for no limit.
        group_id: the same in all jobs of one `map`.
        retry_of: the job that this one repeats.
        kernel_id: the process that runs it; None if nobody has taken it.
        executor: what it runs on.
        cancel_requested_at: when somebody asked it to stop.
        source: the function's name, module, text, sha256 and so on, where known; None in lists.
        result_error: why the value of a done job was not stored whole.
        result_order: what jsonb does not keep (orders of dict keys, types of NumPy numbers); `value` uses it.
        duration_s: seconds from start to end by a monotonic clock; None before the end.
        cancel_force: True if it is to be stopped although its code does not listen.
    """

    model_config = ConfigDict(extra="ignore")

    job_id: UUID
    document_id: UUID | None = None
    job_type: str
    status: JobStatus = JobStatus.SCHEDULED
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    result: Any = Field(default_factory=dict)
    error_message: str | None = None
    property_id: UUID | None = None
    name: str | None = None
    initial_data: Any = None
    error_kind: str | None = None
    traceback: str | None = None
    progress: float | None = None
    progress_message: str | None = None
    attempt: int = 1
    max_attempts: int = 1
    timeout_s: float | None = None
    group_id: UUID | None = None
    retry_of: UUID | None = None
    kernel_id: UUID | None = None
    executor: str | None = None
    cancel_requested_at: datetime | None = None
    source: Any = None
    result_error: str | None = None
    result_order: Any = None
    duration_s: float | None = None
    cancel_force: bool | None = None

    @field_validator("status", mode="before")
    @classmethod
    def _status(cls, value: object) -> object:
        # the framework's DDL lets status be null; such a row has not been started by anybody
        return JobStatus.SCHEDULED if value is None else value

    @field_validator("created_at", "started_at", "finished_at", "cancel_requested_at")
    @classmethod
    def _utc(cls, value: datetime | None) -> datetime | None:
        return aware(value)

    @classmethod
    def from_row(cls, row: Any) -> Self:
        """Make a job of a row of the table (any mapping); the columns it lacks get their defaults."""
        return cls.model_validate(dict(row))

    @property
    def state(self) -> str:
        """The status in the word a person would use: `cancelled`, `timeout` or `lost` where the row says `failed`."""
        return state_of(self.status, self.error_kind)

    @property
    def short_id(self) -> str:
        """Eight hex digits that tell this job from others: the last ones, as the first ones are the time."""
        return self.job_id.hex[-8:]

    @property
    def elapsed(self) -> float | None:
        """Seconds it ran, or has been running; None if it has not begun."""
        if self.duration_s is not None:
            return self.duration_s
        if self.started_at is None:
            return None
        return max(0.0, ((self.finished_at or datetime.now(UTC)) - self.started_at).total_seconds())


class LogLine(BaseModel):
    """One line that a job printed or logged.

    Attributes:
        n: counts from 1 within the job.
        at: when, aware and in UTC.
        stream: `stdout`, `stderr`, `log`, `display` for what it displayed (as text), or `jobnb` for a remark of ours.
        line: the text, without the line's end.
    """

    n: int
    at: datetime
    stream: str
    line: str

    def __str__(self) -> str:
        return self.line
