"""Every error that jobnb raises.

    JobnbError
    ├── InvalidInput (ValueError)           an argument that can't be right; nothing was stored
    │   └── InvalidOption                   an option of submit that collides with the function's own parameter
    ├── ConfigurationError (ValueError)     DATABASE_URL, JOBNB_* or configure() say something impossible
    ├── JobNotFound (LookupError)           no row with that id
    │   └── AmbiguousJobId                  several rows begin (or end) with the digits given
    ├── InvalidTransition                   the job's state does not allow that change
    ├── JobFailed                           the function raised; carries the remote traceback
    │   ├── JobCancelled                    stopped because somebody asked for it
    │   ├── JobTimeout (TimeoutError)       took longer than the job's own timeout
    │   └── JobLost                         the process that ran it went away
    ├── WaitTimeout (TimeoutError)          result(timeout=...) gave up waiting; the job goes on
    ├── ResultNotStored                     the job is done, but its value could not be kept
    ├── ServiceClosed (RuntimeError)        submit after close()
    └── DatabaseError
        ├── DatabaseUnavailable (ConnectionError)   no answer from the server
        ├── PermissionDenied (PermissionError)      the server refused this role
        └── SchemaMismatch                          the tables are missing, or newer than this jobnb

`StopRequested` is not part of the tree: it is what `check_cancelled()` raises inside a job, and derives from
`BaseException` so that an `except Exception` in the job's own code does not swallow it.

A message says what happened to which thing, why, and what to do next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID


class JobnbError(Exception):
    """The base of every error in this module: `except jobnb.JobnbError` catches them all.

    Errors can be pickled, so that they get out of the workers of process pools, which otherwise hang.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return _made_again, (type(self), self.args, self.__dict__)


def _made_again(kind: type[BaseException], args: tuple[Any, ...], attributes: dict[str, Any]) -> BaseException:
    error = kind.__new__(kind, *args)  # not by its constructor, whose arguments went into the message
    error.args = args  # an OSError sets them in its constructor
    error.__dict__.update(attributes)
    return error


class InvalidInput(JobnbError, ValueError):
    """An argument that can't be right, refused before anything was stored.

    Attributes:
        argument: the argument's name as the caller wrote it.
    """

    def __init__(self, message: str, argument: str = "") -> None:
        super().__init__(message)
        self.argument = argument


class InvalidOption(InvalidInput):
    """An option of `submit` has the name of one of the function's own parameters."""


class ConfigurationError(JobnbError, ValueError):
    """A setting that can't work: a malformed `DATABASE_URL`, an unknown `JOBNB_DISPLAY`, an unusable home."""


class JobNotFound(JobnbError, LookupError):
    """No row with that id (or short id)."""

    def __init__(self, job_id: UUID | str) -> None:
        super().__init__(f"no job {job_id}: it was never stored in this database, or it was deleted")
        self.job_id = job_id


class AmbiguousJobId(JobNotFound):
    """Several jobs begin or end with the digits given.

    Attributes:
        candidates: full ids of some of them.
    """

    def __init__(self, digits: str, candidates: Sequence[UUID]) -> None:
        super().__init__(digits)
        shown = ", ".join(str(candidate) for candidate in candidates)
        self.args = (f"{digits!r} fits several jobs ({shown}): give more digits",)
        self.candidates = tuple(candidates)


class InvalidTransition(JobnbError):
    """The job's present state does not allow that change; done and failed are final.

    Attributes:
        current: the state the job is in.
        wanted: the state it was asked to enter.
    """

    def __init__(self, job_id: UUID | str, current: str, wanted: str) -> None:
        super().__init__(
            f"job {job_id} is {current}: it can't become {wanted}"
            + (" (done and failed are final; retry_job starts it anew)" if current in ("done", "failed") else "")
        )
        self.job_id, self.current, self.wanted = job_id, current, wanted


class JobFailed(JobnbError):
    """The job's function raised, and the exception itself is not in this process.

    Attributes:
        job_id: the job's id.
        error_message: the one-line summary in the row.
        remote_traceback: the traceback as text, where one was kept.
    """

    def __init__(self, job_id: UUID | str, error_message: str, remote_traceback: str | None = None) -> None:
        self.job_id, self.error_message, self.remote_traceback = job_id, error_message, remote_traceback
        super().__init__(self._text())

    def _text(self) -> str:
        text = f"job {self.job_id} failed: {self.error_message}"
        if self.remote_traceback:
            text += f"\n\n--- traceback of the job ---\n{self.remote_traceback.rstrip()}"
        return text


class JobCancelled(JobFailed):
    """The job was stopped, or never started, because somebody asked for it."""

    def _text(self) -> str:
        begins = self.error_message.startswith("cancelled")
        return f"job {self.job_id} was {'' if begins else 'cancelled: '}{self.error_message}"


class JobTimeout(JobFailed, TimeoutError):
    """The job took longer than its own `timeout`."""

    def _text(self) -> str:
        begins = self.error_message.startswith("timed out")
        return f"job {self.job_id} {'' if begins else 'timed out: '}{self.error_message}"


class JobLost(JobFailed):
    """The process that ran the job went away before the job ended."""

    def _text(self) -> str:
        begins = self.error_message.startswith("lost")
        return f"job {self.job_id} was {'' if begins else 'lost: '}{self.error_message}"


class WaitTimeout(JobnbError, TimeoutError):
    """`result(timeout=...)` or `wait(timeout=...)` gave up; the job itself goes on."""


class ResultNotStored(JobnbError):
    """The job is done, but its value could not be kept in the database; a preview is in the row.

    Attributes:
        preview: a short text of what the value was.
    """

    def __init__(self, job_id: UUID | str, reason: str, preview: str) -> None:
        super().__init__(
            f"job {job_id} is done, but its value was not stored: {reason}. What is left is a preview: {preview}\n"
            "return something storable (numbers, text, lists, dicts), or write a file and return its path"
        )
        self.job_id, self.reason, self.preview = job_id, reason, preview


class ServiceClosed(JobnbError, RuntimeError):
    """The service was closed, or the interpreter is shutting down; it takes no more jobs."""


class DatabaseError(JobnbError):
    """The server refused a statement, for a reason that is not one of the kinds below.

    Attributes:
        sqlstate: PostgreSQL's five-character code, where the server sent one.
    """

    def __init__(self, message: str, sqlstate: str | None = None) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


class DatabaseUnavailable(DatabaseError, ConnectionError):
    """The server can't be reached, did not answer in time, or can't do its work for now (disk full, read-only)."""

    @property
    def will_pass(self) -> bool:
        """True if the server itself said that it can't do this now; False if there was no answer, or none that tells.

        A full disk, no connection left, a server that only reads after a failover, a lost race with another
        transaction: of https://www.postgresql.org/docs/current/errcodes-appendix.html.
        """
        return self.sqlstate in ("53100", "53300", "25006", "55P03") or (self.sqlstate or "")[:2] == "40"


class PermissionDenied(DatabaseError, PermissionError):
    """The role in `DATABASE_URL` lacks a privilege."""


class SchemaMismatch(DatabaseError):
    """The tables of jobnb are missing, or were made by a newer jobnb."""


class StopRequested(BaseException):
    """Raised inside a job by `check_cancelled()`, `progress()` and `track()` when the job is to stop.

    Attributes:
        kind: `"cancelled"` or `"timeout"`.
    """

    def __init__(self, kind: str = "cancelled") -> None:
        super().__init__(f"this job was asked to stop ({kind})")
        self.kind = kind

    def __reduce__(self) -> tuple[Any, ...]:
        return _made_again, (type(self), self.args, self.__dict__)
