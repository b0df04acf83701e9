"""The states of a job: the four statuses, and why a failed one failed."""

from __future__ import annotations

from enum import StrEnum

ERROR_KINDS = ("cancelled", "timeout", "lost", "error")
"""Why a failed job failed: somebody stopped it, it took too long, its process went away, or its function raised."""


class JobStatus(StrEnum):
    """What became of a job.

    Left as follows: `scheduled` for any other; `in_progress` for `done` or `failed`; `done` and `failed` never.
    """

    SCHEDULED = "scheduled"
    IN_PROGRESS = "in_progress"
    DONE = "done"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        """True if the job has ended, well or not."""
        return self in (JobStatus.DONE, JobStatus.FAILED)


def state_of(status: str, error_kind: str | None) -> str:
    """The status in the word a person would use: `cancelled`, `timeout` or `lost` where the row says `failed`."""
    return error_kind if status == "failed" and error_kind in ("cancelled", "timeout", "lost") else str(status)
