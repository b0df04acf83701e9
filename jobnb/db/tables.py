"""The columns of `schema.sql`, to build statements with, and what many say of them; nothing is ever created from here.

`tests/test_service.py` compares names, order and what may be NULL with a server that has run `schema.sql`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    DateTime,
    Double,
    Enum,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    Uuid,
    func,
    literal,
)
from sqlalchemy.dialects.postgresql import JSONB, REAL, VARCHAR

from jobnb.models import JobStatus

if TYPE_CHECKING:
    from datetime import datetime

metadata = MetaData()

_STATUS = Enum(*[status.value for status in JobStatus], name="job_status", create_type=False)
_NAIVE_UTC = DateTime()
_AWARE = DateTime(timezone=True)

jobs = Table(
    "jobs",
    metadata,
    Column("job_id", Uuid, primary_key=True),
    Column("document_id", Uuid),
    Column("job_type", VARCHAR(50), nullable=False),
    Column("status", _STATUS),
    Column("created_at", _NAIVE_UTC),
    Column("started_at", _NAIVE_UTC),
    Column("finished_at", _NAIVE_UTC),
    Column("result", JSONB(none_as_null=True)),
    Column("error_message", Text),
    Column("property_id", Uuid),
    Column("name", Text),
    Column("initial_data", JSONB(none_as_null=True)),
    Column("error_kind", Text),
    Column("traceback", Text),
    Column("progress", REAL),
    Column("progress_message", Text),
    Column("attempt", Integer, nullable=False),
    Column("max_attempts", Integer, nullable=False),
    Column("timeout_s", Double),
    Column("group_id", Uuid),
    Column("retry_of", Uuid),
    Column("kernel_id", Uuid),
    Column("executor", Text),
    Column("cancel_requested_at", _AWARE),
    Column("source", JSONB(none_as_null=True)),
    Column("result_error", Text),
    Column("result_order", JSONB(none_as_null=True)),
    Column("duration_s", Double),
    Column("cancel_force", Boolean),
)

kernels = Table(
    "jobnb_kernels",
    metadata,
    Column("kernel_id", Uuid, primary_key=True),
    Column("host", Text, nullable=False),
    Column("boot_id", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("user", Text, nullable=False),
    Column("notebook", Text),
    Column("python", Text, nullable=False),
    Column("started_at", _AWARE, nullable=False),
    Column("heartbeat", _AWARE, nullable=False),
    Column("stopped_at", _AWARE),
)

logs = Table(
    "job_logs",
    metadata,
    Column("job_id", Uuid, primary_key=True),
    Column("n", Integer, primary_key=True),
    Column("at", _AWARE, nullable=False),
    Column("stream", Text, nullable=False),
    Column("line", Text, nullable=False),
)

values = Table(
    "job_values",
    metadata,
    Column("job_id", Uuid, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("part", Integer, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("meta", JSONB(none_as_null=True), nullable=False),
    Column("data", LargeBinary, nullable=False),
)

UTC_NOW: ColumnElement[datetime] = func.timezone("utc", func.clock_timestamp(), type_=DateTime())
"""This moment, as the columns without a time zone have it."""
STATUS: ColumnElement[Any] = func.coalesce(jobs.c.status, literal("scheduled", jobs.c.status.type))
"""The status of a job, also where another program left it out."""
UNFINISHED = ("scheduled", "in_progress")
