"""`snapshot`: a job of this process as a `Job`, the model that everything that shows jobs takes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

from jobnb.models import Job, JobStatus

if TYPE_CHECKING:
    from jobnb.tracking.execution import Execution


def snapshot(execution: Execution, row: Job | None = None) -> Job:
    """A job of this process as memory knows it; what memory does not know comes from the row last read."""
    return Job.model_construct(
        **{
            **({} if row is None else dict(row)),
            "job_id": UUID(execution.job_id),
            "job_type": execution.job_type,
            "name": execution.name,
            "status": JobStatus(execution.status),
            "created_at": _moment(execution.created) or (row.created_at if row else None),
            "started_at": _moment(execution.started),
            "finished_at": _moment(execution.finished),
            "duration_s": execution.duration,
            "error_kind": execution.error_kind,
            "error_message": execution.error_message,
            "traceback": execution.traceback,
            "progress": execution.fraction,
            "progress_message": execution.message,
            "attempt": execution.attempt,
            "max_attempts": execution.max_attempts,
            "timeout_s": execution.timeout,
            "cancel_requested_at": _moment(execution.stop_asked),
        }
    )


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
