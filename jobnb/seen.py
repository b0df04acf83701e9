"""`SeenJob`: what a handle knows of its job without asking the database, for what shows jobs many times a second."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any
from uuid import UUID

from jobnb.display.arguments import brief_call
from jobnb.states import state_of

if TYPE_CHECKING:
    from inspect import Signature

    from jobnb.models import Job
    from jobnb.tracking.execution import Execution


class SeenJob(ABC):
    """A job as last seen by this process.

    Args:
        job_id: as text.
        execution: the job, if it runs or ran in this process.
        job: its row, as it was last read; None if it was not read yet.
    """

    def __init__(self, job_id: str, execution: Execution | None, job: Job | None) -> None:
        self._id, self._started_here, self._job = job_id, execution, job

    @property
    def _execution(self) -> Execution | None:
        """The job, if it is in this process."""
        return self._started_here

    @property
    def job_id(self) -> UUID:
        """The job's id."""
        return UUID(self._id)

    @property
    @abstractmethod
    def job(self) -> Job:
        """The job as last seen: from memory if it runs in this process, else the row as it was last read."""

    @property
    def state(self) -> str:
        """`status` in the word a person would use, such as `cancelled`; as last seen, the row is not read."""
        execution = self._execution
        return self.job.state if execution is None else state_of(execution.status, execution.error_kind)

    @property
    def name(self) -> str:
        """What a person calls it; its type if it has no name."""
        return self._execution.name if self._execution is not None else self.job.name or self.job.job_type

    @property
    def span(self) -> tuple[float | None, float | None]:
        """When it began and ended, as last seen, in seconds since 1970, UTC; None for what has not happened."""
        if self._execution is not None:
            return self._execution.started, self._execution.finished
        began, ended = self.job.started_at, self.job.finished_at
        return began.timestamp() if began else None, ended.timestamp() if ended else None

    @property
    def call(self) -> str:
        """The arguments in a few words, where this process knows them; else an empty text."""
        execution = self._execution
        return "" if execution is None else brief_call(execution.args, execution.kwargs)

    @property
    def arguments(self) -> tuple[Signature | None, tuple[Any, ...], dict[str, Any]]:
        """The function's signature, where Python knows it, and the call's arguments, where this process knows them."""
        execution = self._execution
        if execution is None:
            return None, (), {}
        return execution.work.callee.signature, execution.args, execution.kwargs

    @property
    def is_here(self) -> bool:
        """True if the job runs, or ran, in this process."""
        return self._execution is not None
