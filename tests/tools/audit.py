"""The audit: the database itself writes down every change of a job's status, and a report judges them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import psycopg

TRIGGER = """
CREATE TABLE jobs_audit (
    n bigserial PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp(), job_id uuid NOT NULL,
    old_rank integer, new_rank integer NOT NULL, old_attempt integer, new_attempt integer NOT NULL
);
CREATE FUNCTION audit_jobs() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO jobs_audit (job_id, new_rank, new_attempt)
        VALUES (NEW.job_id, job_rank(NEW.status, NEW.error_kind), NEW.attempt);
    ELSIF (OLD.status, OLD.error_kind, OLD.attempt) IS DISTINCT FROM (NEW.status, NEW.error_kind, NEW.attempt) THEN
        INSERT INTO jobs_audit (job_id, old_rank, new_rank, old_attempt, new_attempt)
        VALUES (NEW.job_id, job_rank(OLD.status, OLD.error_kind), job_rank(NEW.status, NEW.error_kind),
                OLD.attempt, NEW.attempt);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER audit_jobs AFTER INSERT OR UPDATE ON jobs FOR EACH ROW EXECUTE FUNCTION audit_jobs();
"""

FINAL = 3
"""The rank of a real end; 2 is a suspicion of loss, 1 in_progress, 0 scheduled."""

_REPORT = """
WITH changes AS (
    SELECT *, (new_attempt, new_rank) < (old_attempt, old_rank) AS is_backward,
           new_rank = 3 AND coalesce(old_rank, 0) < 3 AS is_end, old_rank = 3 AND new_rank = 3 AS is_second
    FROM jobs_audit
), by_job AS (
    SELECT job_id, bool_or(is_backward) AS backward, count(*) FILTER (WHERE is_end) AS ends,
           bool_or(is_second) AS rewritten
    FROM changes GROUP BY job_id
)
SELECT (SELECT count(*) FROM jobs), (SELECT count(*) FROM jobs WHERE status = 'done'),
       (SELECT count(*) FROM jobs WHERE status = 'failed' AND error_kind <> 'lost'),
       (SELECT count(*) FROM jobs WHERE error_kind = 'lost'),
       (SELECT count(*) FROM jobs WHERE status IN ('scheduled', 'in_progress')),
       (SELECT count(*) FROM by_job WHERE backward), (SELECT count(*) FROM by_job WHERE ends > 1 OR rewritten)
"""


class Report(NamedTuple):
    """What became of all jobs of a database.

    Attributes:
        rows: how many there are.
        done: those that are.
        failed: for a reason of their own.
        lost: failed, because their process went away.
        unfinished: scheduled or in progress.
        backward: jobs that ever took a step back.
        doubled: jobs that ended more than once in one attempt.
    """

    rows: int
    done: int
    failed: int
    lost: int
    unfinished: int
    backward: int
    doubled: int

    @property
    def is_clean(self) -> bool:
        """True if every job went one way, to one end."""
        return not (self.unfinished or self.backward or self.doubled)


def install(url: str) -> None:
    """Have a database that has jobnb's tables write down what happens from now on."""
    with psycopg.connect(url) as connection:
        connection.execute(TRIGGER)


def report(url: str) -> Report:
    """Judge everything that happened."""
    with psycopg.connect(url) as connection:
        row = connection.execute(_REPORT).fetchone()
    assert row is not None
    return Report(*row)


def missing(url: str, job_ids: Iterable[str]) -> set[str]:
    """Those of the accepted jobs that have no row."""
    with psycopg.connect(url) as connection:
        found = {str(row[0]) for row in connection.execute("SELECT job_id FROM jobs")}
    return set(job_ids) - found
