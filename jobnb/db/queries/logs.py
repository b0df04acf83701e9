"""Queries about what jobs printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from jobnb.checks import check_id, check_limit
from jobnb.db.tables import logs
from jobnb.models import LogLine

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy import Connection


def get_logs(conn: Connection, job_id: UUID, after: int = 0, limit: int = 100_000) -> list[LogLine]:
    """Read the lines a job printed and logged, in order.

    Args:
        job_id: which job; an unknown one has no lines.
        after: only lines with a number above this, to read on from where one was.
        limit: how many at most.
    """
    query = (
        select(logs.c.n, logs.c.at, logs.c.stream, logs.c.line)
        .where(logs.c.job_id == check_id("job_id", job_id), logs.c.n > after)
        .order_by(logs.c.n)
        .limit(check_limit(limit))
    )
    return [LogLine.model_validate(dict(row)) for row in conn.execute(query).mappings()]
