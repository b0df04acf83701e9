"""Every statement jobnb sends, one plain function each.

`read` has the questions. `change` is how a caller says what state a job is in, `record` and `record_done` how the
recorder does for many. `requests` are to the process that runs a job, `kernels` is about these processes; `logs`,
`delete`.

Those that the monitor sends for many rows are in `window`, `walk`, `places` and `filtering` (lists), `counts`,
`reports` and `detail` (numbers), `stream` (scripts), `bulk` (actions) and `server`.

A query takes a connection first, never opens or commits anything, and returns models, never rows. They can be called
with a SQLAlchemy connection of one's own, inside a transaction of one's own.
"""

from jobnb.db.queries.change import complete_job, create_job, fail_job, start_job, update_job_status
from jobnb.db.queries.delete import delete_jobs, purge
from jobnb.db.queries.kernels import (
    beat,
    close_lost,
    close_silent,
    heartbeats,
    leave,
    list_kernels,
    register,
    take_job,
)
from jobnb.db.queries.logs import get_logs
from jobnb.db.queries.read import (
    count_by_state,
    count_jobs,
    find_job_ids,
    find_jobs,
    get_all_jobs,
    get_job,
    get_jobs,
    get_jobs_by_status,
    missing_references,
)
from jobnb.db.queries.record import insert_logs, record_new, record_progress
from jobnb.db.queries.record_done import record_done
from jobnb.db.queries.requests import cancel_job, cancel_requests, retry_job, retry_requests

__all__ = [
    "beat",
    "cancel_job",
    "cancel_requests",
    "close_lost",
    "close_silent",
    "complete_job",
    "count_by_state",
    "count_jobs",
    "create_job",
    "delete_jobs",
    "fail_job",
    "find_job_ids",
    "find_jobs",
    "get_all_jobs",
    "get_job",
    "get_jobs",
    "get_jobs_by_status",
    "get_logs",
    "heartbeats",
    "insert_logs",
    "leave",
    "list_kernels",
    "missing_references",
    "purge",
    "record_done",
    "record_new",
    "record_progress",
    "register",
    "retry_job",
    "retry_requests",
    "start_job",
    "take_job",
    "update_job_status",
]
