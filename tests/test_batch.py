"""What the recorder collects and sends: the newest event of each job, once."""

from __future__ import annotations

import json

from jobnb.recorder.batch import BATCH_JOBS, Pending
from jobnb.recorder.events import Event, EventKind
from jobnb.recorder.parameters import payload

SHARED = '"job_type":"a"'


def event(kind: EventKind, job_id: str = "j", members: str = '"x":1', shared: str = SHARED) -> Event:
    return Event(kind, job_id, 1, members, shared)


def test_a_job_that_began_and_ended_between_two_flushes_is_sent_once_as_new() -> None:
    pending = Pending()
    end = event(EventKind.END)
    pending.add([event(EventKind.NEW), event(EventKind.START), event(EventKind.PROGRESS), end])
    batch = pending.take(ended_only=False)
    assert batch.new == [end]
    assert batch.changed == []
    assert not pending


def test_progress_that_was_seen_before_the_end_and_told_after_it_changes_nothing() -> None:
    pending = Pending()
    end = event(EventKind.END)
    pending.add([end, event(EventKind.PROGRESS), event(EventKind.START)])
    assert pending.take(ended_only=False).changed == [end]
    assert not pending


def test_jobs_that_have_not_ended_can_be_left_for_the_next_flush() -> None:
    pending = Pending()
    pending.add([event(EventKind.NEW, "open"), event(EventKind.NEW, "ended"), event(EventKind.END, "ended")])
    assert [one.job_id for one in pending.take(ended_only=True).new] == ["ended"]
    assert pending.without_row == 1
    assert [one.job_id for one in pending.take(ended_only=False).new] == ["open"]


def test_lines_wait_for_the_row_of_their_job() -> None:
    pending = Pending()
    lines = event(EventKind.LOGS, members='{"n":1}')
    pending.add([event(EventKind.NEW), lines])
    assert pending.take(ended_only=True).logs == []
    assert pending.take(ended_only=False).logs == [lines]


def test_a_batch_has_a_limit_and_the_rest_follows() -> None:
    pending = Pending()
    pending.add([event(EventKind.END, str(number)) for number in range(BATCH_JOBS + 1)])
    assert [len(pending.take(ended_only=False)) for _ in range(3)] == [BATCH_JOBS, 1, 0]


def test_what_jobs_share_is_sent_once_and_named_by_its_place() -> None:
    other = '"job_type":"b"'
    records, shared = payload(
        [
            event(EventKind.NEW, "1"),
            event(EventKind.NEW, "2", shared=other),
            event(EventKind.NEW, "3", shared="".join(SHARED)),
            event(EventKind.NEW, "4", shared=""),
        ]
    )
    assert [record.get("shared") for record in json.loads(records)] == [0, 1, 0, None]
    assert json.loads(shared) == [{"place": 0, "job_type": "a"}, {"place": 1, "job_type": "b"}]
