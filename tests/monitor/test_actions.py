"""Actions from outside: what they would do, what they really did, what can be taken back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

import psycopg
import pytest

import jobnb
from jobnb.errors import InvalidInput
from monitor import actions
from monitor.filters import parse
from monitor.model import Action, Progress, Target, View
from monitor.postgres import PostgresSource

AddJobs = Callable[..., list[UUID]]
AddKernel = Callable[..., UUID]
Sql = psycopg.Connection[Any]


@pytest.fixture(autouse=True)
def no_long_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows without a process behind them never change."""
    monkeypatch.setattr(actions, "WATCH_SECONDS", 0.3)


def states(sql: Sql, ids: list[UUID]) -> list[tuple[str, str | None, bool]]:
    rows = sql.execute(
        "SELECT status::text, error_kind, cancel_requested_at IS NOT NULL FROM jobs"
        " JOIN unnest(%s) WITH ORDINALITY AS u(id, n) ON id = job_id ORDER BY n",
        (ids,),
    )
    return [(row[0], row[1], row[2]) for row in rows]


def count(sql: Sql, where: str = "true") -> int:
    row = sql.execute(f"SELECT count(*) FROM jobs WHERE {where}").fetchone()  # type: ignore[arg-type]
    assert row is not None
    return int(row[0])


def test_plan_counts_and_shows_what_would_happen_and_does_nothing(
    source: PostgresSource, add_jobs: AddJobs, add_kernel: AddKernel, sql: Sql
) -> None:
    alive, gone = add_kernel(), add_kernel(stopped=True)
    untaken = add_jobs(2, status="scheduled")
    running = add_jobs(3, status="in_progress", kernel_id=alive)
    add_jobs(1, status="in_progress", kernel_id=gone)
    add_jobs(7, status="done")

    plan = source.plan(Action.CANCEL, Target(filter=parse("")))

    assert plan.count == (6, True)
    assert plan.skipped == {"done already": 7}
    assert [row.job_id for row in plan.sample] == [*plan_newest(source, 1), *running[::-1], untaken[1]]
    assert any("its process is gone" in warning for warning in plan.warnings)
    assert (plan.refused, plan.undo) == (None, "the request is withdrawn from jobs that have not stopped yet")
    assert count(sql, "cancel_requested_at IS NOT NULL") == 0


def plan_newest(source: PostgresSource, count: int) -> list[UUID]:
    return [row.job_id for row in source.window(View(parse("state:active")), 0, count).rows]


@pytest.mark.parametrize("action", list(Action))
@pytest.mark.parametrize("by_filter", [True, False])
def test_sql_of_a_plan_changes_as_many_jobs_in_psql(
    source: PostgresSource, add_jobs: AddJobs, add_kernel: AddKernel, sql: Sql, action: Action, by_filter: bool
) -> None:
    kernel_id = add_kernel()
    ids = [
        job_id
        for status in ("scheduled", "in_progress", "done", "failed")
        for job_id in add_jobs(2, status=status, name="it's 100% \\ AND x", kernel_id=kernel_id)
    ]
    target = Target(filter=parse('name:"it\'s 100% \\ AND"')) if by_filter else Target(tuple(ids))

    plan = source.plan(action, target)

    with sql.transaction(force_rollback=True):
        assert sql.execute(plan.sql).rowcount == plan.count.value > 0  # type: ignore[arg-type]


def test_cancel_tells_what_became_of_each_job(
    source: PostgresSource, add_jobs: AddJobs, add_kernel: AddKernel, sql: Sql
) -> None:
    kernels = {name: add_kernel(**how) for name, how in {  # type: ignore[arg-type]
        "alive": {}, "gone": {"stopped": True}, "silent": {"silent": 300.0}}.items()}  # fmt: skip
    untaken = add_jobs(1, status="scheduled")[0]
    running = {name: add_jobs(1, status="in_progress", kernel_id=kernel)[0] for name, kernel in kernels.items()}
    done = add_jobs(1)[0]
    nowhere = UUID(int=7)
    ids = [untaken, *running.values(), done, nowhere]

    outcome = source.execute(source.plan(Action.CANCEL, Target(tuple(ids))))

    words = {one.job_id: one.words for one in outcome.jobs}
    assert words[untaken] == "cancelled before it started"
    assert "its code still runs" in words[running["alive"]]
    assert "its process is gone" in words[running["gone"]]
    assert "no sign of life" in words[running["silent"]]
    assert words[done] == "left alone: done already"
    assert words[nowhere] == "left alone: not there any more"
    assert (outcome.changed, sum(outcome.tally.values())) == (4, 6)
    assert states(sql, [untaken, running["alive"], done]) == [
        ("failed", "cancelled", True),
        ("in_progress", None, True),
        ("done", None, False),
    ]


def test_cancel_is_undone_where_the_job_has_not_ended(
    source: PostgresSource, add_jobs: AddJobs, add_kernel: AddKernel, sql: Sql
) -> None:
    first, second = add_jobs(2, status="in_progress", kernel_id=add_kernel())
    outcome = source.execute(source.plan(Action.CANCEL, Target((first, second))))
    sql.execute("UPDATE jobs SET status = 'failed', error_kind = 'cancelled' WHERE job_id = %s", (first,))

    undone = source.undo(outcome)

    assert undone.changed == 1
    assert sorted(undone.tally.values()) == [1, 1]
    assert states(sql, [second]) == [("in_progress", None, False)]
    with pytest.raises(InvalidInput, match="any more"):
        source.undo(outcome)


def test_job_that_was_asked_to_stop_is_not_asked_again(
    source: PostgresSource, add_jobs: AddJobs, add_kernel: AddKernel
) -> None:
    job_id = add_jobs(1, status="in_progress", kernel_id=add_kernel())[0]
    source.execute(source.plan(Action.CANCEL, Target((job_id,))))

    plan = source.plan(Action.CANCEL, Target((job_id,)))

    assert (plan.count.value, plan.skipped) == (0, {"asked to stop before": 1})
    assert plan.refused == "there is no job to cancel here"


def test_job_that_does_not_listen_is_stopped_by_force(
    client: str, source: PostgresSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actions, "WATCH_SECONDS", 4)
    begun, enough = threading.Event(), threading.Event()

    def deaf() -> None:
        begun.set()
        while not enough.is_set():
            time.sleep(0.01)

    handle = jobnb.submit(deaf)
    begun.wait(10)
    wait_for_state(source, handle.job_id, "in_progress")

    asked = source.execute(source.plan(Action.CANCEL, Target((handle.job_id,))))
    forced = source.execute(source.plan(Action.FORCE, Target((handle.job_id,))))
    enough.set()

    assert "its code still runs" in asked.jobs[0].words
    assert [one.words for one in forced.jobs] == ["stopped"]


def test_force_comes_after_asking_and_only_once(
    source: PostgresSource, add_jobs: AddJobs, add_kernel: AddKernel, sql: Sql
) -> None:
    (job_id,) = add_jobs(1, status="in_progress", kernel_id=add_kernel())
    source.execute(source.plan(Action.CANCEL, Target((job_id,))))
    outcome = source.execute(source.plan(Action.FORCE, Target((job_id,))))

    assert outcome.changed == 1
    assert source.plan(Action.FORCE, Target((job_id,))).skipped == {"asked to stop before": 1}
    assert count(sql, "cancel_force") == 1
    assert source.undo(outcome).changed == 1
    assert count(sql, "cancel_force") == 0


def test_retry_makes_a_new_job_for_the_process_that_has_the_function(
    source: PostgresSource, add_jobs: AddJobs, add_kernel: AddKernel, sql: Sql
) -> None:
    kernel_id = add_kernel()
    failed = add_jobs(1, status="failed", kernel_id=kernel_id, name="x", source={"function": "f"})[0]
    orphan = add_jobs(1, status="failed")[0]
    running = add_jobs(1, status="in_progress", kernel_id=kernel_id)[0]

    plan = source.plan(Action.RETRY, Target((failed, orphan, running)))
    outcome = source.execute(plan)

    assert plan.count.value == outcome.changed == 1
    assert any("submit it again" in reason for reason in plan.skipped)
    row = sql.execute(
        "SELECT job_id, status, name, source, kernel_id FROM jobs WHERE retry_of = %s", (failed,)
    ).fetchone()
    assert row is not None
    assert row[1:] == ("scheduled", "x", {"function": "f"}, kernel_id)
    words = {one.job_id: one.words for one in outcome.jobs}
    assert f"waits as {row[0].hex[-8:]}" in words[failed]
    assert source.undo(outcome).changed == 1
    assert states(sql, [row[0]])[0][2]


def test_delete_takes_finished_jobs_and_puts_them_back_whole(
    source: PostgresSource, add_jobs: AddJobs, sql: Sql
) -> None:
    done = add_jobs(3, name="x", result={"result": [1.5, None, "é"], "big": 12345678901234567890})
    running = add_jobs(1, name="x", status="in_progress")
    sql.execute("INSERT INTO job_logs SELECT unnest(%s::uuid[]), 1, now(), 'stdout', 'a \"quoted\", (line)'", (done,))
    sql.execute("INSERT INTO job_values SELECT unnest(%s::uuid[]), 'a', 0, 'npy', '{}', '\\x00ff'", (done,))
    everything = "SELECT {0}::text FROM {0} ORDER BY 1"
    before = [sql.execute(everything.format(name)).fetchall() for name in ("jobs", "job_logs", "job_values")]  # type: ignore[arg-type]

    plan = source.plan(Action.DELETE, Target(filter=parse("name:x")))
    outcome = source.execute(plan)

    assert (plan.count.value, plan.skipped) == (3, {"running still": 1})
    assert outcome.tally == {"deleted": 3}
    assert (count(sql), states(sql, running)) == (1, [("in_progress", None, False)])
    assert source.undo(outcome).tally == {"put back": 3}
    after = [sql.execute(everything.format(name)).fetchall() for name in ("jobs", "job_logs", "job_values")]  # type: ignore[arg-type]
    assert after == before


def test_delete_of_much_says_that_it_is_for_good(
    source: PostgresSource, add_jobs: AddJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actions, "KEPT_BYTES", 500)
    job = add_jobs(1, error_message="x" * 1_000)

    plan = source.plan(Action.DELETE, Target(tuple(job)))
    outcome = source.execute(plan)

    assert "this can't be undone" in plan.warnings
    assert (plan.undo, outcome.undo_token) == ("", None)
    with pytest.raises(InvalidInput):
        source.undo(outcome)


def test_action_on_a_whole_filter_goes_in_batches_and_leaves_later_jobs_alone(
    source: PostgresSource, add_jobs: AddJobs, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actions, "BATCH", 10)
    add_jobs(35, status="scheduled", name="many")
    sql.execute("UPDATE jobs SET created_at = NULL WHERE job_id IN (SELECT job_id FROM jobs LIMIT 12)")
    add_jobs(5, status="scheduled", name="other")
    plan = source.plan(Action.CANCEL, Target(filter=parse("name:many")))
    later = add_jobs(3, status="scheduled", name="many")
    told: list[Progress] = []

    outcome = source.execute(plan, lambda progress: told.append(progress) is None)

    assert (plan.count.value, outcome.changed) == (35, 35)
    assert [progress.changed for progress in told][:2] == [10, 20]
    assert told[-1].changed == 35
    assert set(states(sql, later)) == {("scheduled", None, False)}
    assert count(sql, "error_kind = 'cancelled'") == 35


def test_action_stops_between_batches_and_tells_how_far_it_came(
    source: PostgresSource, add_jobs: AddJobs, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actions, "BATCH", 10)
    add_jobs(30, status="scheduled")

    outcome = source.execute(source.plan(Action.CANCEL, Target(filter=parse(""))), lambda progress: False)

    assert (outcome.stopped, outcome.changed, count(sql, "status = 'failed'")) == (True, 10, 10)
    assert "stopped before its end" in outcome.words


def test_failure_in_the_middle_is_told_with_what_has_happened(
    source: PostgresSource, add_jobs: AddJobs, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actions, "BATCH", 10)
    add_jobs(30, status="done")
    sql.execute("CREATE TABLE audit (job_id uuid REFERENCES jobs)")
    sql.execute("INSERT INTO audit SELECT job_id FROM jobs ORDER BY created_at LIMIT 1")

    outcome = source.execute(source.plan(Action.DELETE, Target(filter=parse(""))))

    assert outcome.changed == 20
    assert outcome.error is not None
    assert "the table audit still refers to a job" in outcome.error
    assert count(sql) == 10


def test_batch_that_meets_another_writer_is_run_again(
    source: PostgresSource, add_jobs: AddJobs, sql: Sql, database_url: str
) -> None:
    first, second = sorted(add_jobs(2, status="scheduled"))
    plan = source.plan(Action.CANCEL, Target((first, second)))
    sql.execute("SET deadlock_timeout = '10s'")
    sql.execute("BEGIN")
    sql.execute("UPDATE jobs SET progress = 0.5 WHERE job_id = %s", (second,))
    outcomes: list[Any] = []
    thread = threading.Thread(target=lambda: outcomes.append(source.execute(plan)))
    thread.start()
    wait_for_lock(database_url)

    sql.execute("UPDATE jobs SET progress = 0.5 WHERE job_id = %s", (first,))
    sql.execute("COMMIT")
    thread.join(20)

    assert outcomes[0].changed == 2
    assert source.link().status == "up"


def wait_for_lock(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        while not connection.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()[0]:  # type: ignore[index]
            time.sleep(0.02)


def test_read_only_monitor_refuses_with_a_reason(settings: Any, add_jobs: AddJobs) -> None:
    add_jobs(1, status="scheduled")
    source = PostgresSource(settings, read_only=True)
    plan = source.plan(Action.CANCEL, Target(filter=parse("")))

    assert plan.count.value == 1
    assert plan.refused is not None
    assert "--read-only" in plan.refused
    with pytest.raises(InvalidInput, match="--read-only"):
        source.execute(plan)
    source.close()


def test_running_job_of_a_live_process_stops_and_the_outcome_says_so(
    client: str, source: PostgresSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actions, "WATCH_SECONDS", 20)
    begun = threading.Event()

    def work() -> None:
        begun.set()
        for _ in jobnb.track(range(10_000)):
            time.sleep(0.01)

    handle = jobnb.submit(work)
    begun.wait(10)
    wait_for_state(source, handle.job_id, "in_progress")

    outcome = source.execute(source.plan(Action.CANCEL, Target((handle.job_id,))))

    assert [one.words for one in outcome.jobs] == ["stopped"]
    assert handle.cancelled()


def test_finished_job_of_a_live_process_runs_again(
    client: str, source: PostgresSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actions, "WATCH_SECONDS", 20)
    runs: list[int] = []
    enough = threading.Event()
    jobnb.submit(enough.wait)  # a process with nothing to do looks rarely
    handle = jobnb.submit(lambda: runs.append(1))
    handle.result(10)
    wait_for_state(source, handle.job_id, "done")

    outcome = source.execute(source.plan(Action.RETRY, Target((handle.job_id,))))

    assert outcome.jobs[0].words.startswith(("ran again as ", "runs again as "))
    deadline = time.monotonic() + 30
    while len(runs) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    enough.set()
    assert runs == [1, 1]


def wait_for_state(source: PostgresSource, job_id: UUID, state: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        row = source.rows([job_id]).get(job_id)
        if row is not None and row.state == state:
            return
        time.sleep(0.02)
    raise AssertionError(f"{job_id} never became {state}")
