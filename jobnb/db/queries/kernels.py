"""Queries about the processes that run jobs: who they are, which still live, which job one of them takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, exists, func, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from jobnb.db.tables import STATUS, UNFINISHED, jobs, kernels
from jobnb.errors import InvalidTransition, JobNotFound

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from sqlalchemy import Connection


def register(conn: Connection, kernel: dict[str, Any]) -> None:
    """Add this process to `jobnb_kernels`; once is enough, a second time changes nothing."""
    conn.execute(upsert(kernels).values(**kernel).on_conflict_do_nothing())


def beat(conn: Connection, kernel_id: UUID) -> None:
    """Give a sign of life, in the server's time; one that was given up for dead lives again."""
    values = {"heartbeat": func.now(), "stopped_at": None}
    conn.execute(update(kernels).where(kernels.c.kernel_id == kernel_id).values(values))


def leave(conn: Connection, kernel_id: UUID) -> None:
    """Say goodbye: this process runs no more jobs."""
    conn.execute(update(kernels).where(kernels.c.kernel_id == kernel_id).values(stopped_at=func.now()))


def take_job(conn: Connection, job_id: UUID, kernel_id: UUID) -> str:
    """Let one process have an unfinished job that nobody runs; returns the kind of job it is.

    Raises:
        JobNotFound: no such job.
        InvalidTransition: it has ended, or another process has it.
    """
    free = jobs.c.kernel_id.is_(None) | (jobs.c.kernel_id == kernel_id)
    unfinished = STATUS.in_(UNFINISHED)
    taken = conn.execute(
        update(jobs)
        .where(jobs.c.job_id == job_id, free, unfinished)
        .values(kernel_id=kernel_id)
        .returning(jobs.c.job_type)
    ).scalar()
    if taken is not None:
        return str(taken)
    status = conn.execute(select(STATUS).where(jobs.c.job_id == job_id)).scalar()
    if status is None:
        raise JobNotFound(job_id)
    has_ended = status in ("done", "failed")
    raise InvalidTransition(job_id, status, "in_progress" if has_ended else "in_progress here, another process has it")


def list_kernels(conn: Connection, limit: int = 100) -> list[dict[str, Any]]:
    """The processes that run or ran jobs, newest first, each with how many of its jobs are unfinished."""
    unfinished = (
        select(func.count())
        .where(jobs.c.kernel_id == kernels.c.kernel_id, jobs.c.status.in_(UNFINISHED))
        .scalar_subquery()
        .label("unfinished")
    )
    query = select(kernels, unfinished).order_by(kernels.c.started_at.desc()).limit(limit)
    return [dict(row) for row in conn.execute(query).mappings()]


# the message names the last sign of life, because that is when the job may have stopped
_CLOSE = """
    UPDATE jobs AS j SET status = 'failed', error_kind = 'lost', finished_at = timezone('utc', now()),
           error_message = format({words}, k.pid, k.host,
                                  to_char(timezone('utc', k.heartbeat), 'YYYY-MM-DD HH24:MI:SS'))
    FROM jobnb_kernels k
    WHERE j.kernel_id = k.kernel_id AND {which} AND j.status IN ('scheduled', 'in_progress')
    RETURNING j.job_id
"""
_CLOSE_LOST = text(
    _CLOSE.format(
        words="'lost: process %s on %s went away before the job ended (last sign of life %s UTC)'",
        which="k.kernel_id IN :kernel_ids",
    )
).bindparams(bindparam("kernel_ids", expanding=True))
_CLOSE_SILENT = text(
    _CLOSE.format(
        words="'lost: no sign of life from process %s on %s since %s UTC; if it comes back, its own end counts'",
        # it may have given a sign of life since the observer looked
        which="k.kernel_id = :kernel_id AND k.heartbeat = :heartbeat",
    )
)


def close_lost(conn: Connection, kernel_ids: Sequence[UUID]) -> list[UUID]:
    """Mark the unfinished jobs of processes that are known to be dead as lost; returns their ids.

    Lost is a suspicion in the row: should the process turn up after all, the real end of the same attempt counts.
    """
    if not kernel_ids:
        return []
    lost = [row[0] for row in conn.execute(_CLOSE_LOST, {"kernel_ids": list(kernel_ids)})]
    gone = kernels.c.kernel_id.in_(kernel_ids) & kernels.c.stopped_at.is_(None)
    conn.execute(update(kernels).where(gone).values(stopped_at=func.now()))
    return lost


def close_silent(conn: Connection, kernel_id: UUID, heartbeat: datetime) -> list[UUID]:
    """Mark the unfinished jobs of a process as lost, if its heartbeat is still this one; returns their ids."""
    silent = {"kernel_id": kernel_id, "heartbeat": heartbeat}
    lost = [row[0] for row in conn.execute(_CLOSE_SILENT, silent)]
    gone = (kernels.c.kernel_id == kernel_id) & (kernels.c.heartbeat == heartbeat)
    conn.execute(update(kernels).where(gone).values(stopped_at=func.now()))
    return lost


def heartbeats(conn: Connection) -> list[tuple[UUID, datetime]]:
    """The last sign of life of each process that has unfinished jobs and has not said goodbye."""
    has_unfinished = exists().where(jobs.c.kernel_id == kernels.c.kernel_id, jobs.c.status.in_(UNFINISHED))
    query = select(kernels.c.kernel_id, kernels.c.heartbeat).where(kernels.c.stopped_at.is_(None), has_unfinished)
    return [(row[0], row[1]) for row in conn.execute(query)]
