"""Ids of jobs are time-ordered UUIDs, one by one and many at once."""

from __future__ import annotations

import time
from itertools import pairwise
from uuid import RFC_4122, UUID

from jobnb.ids import IdRange, new_id_text, new_job_id


def test_ids_made_later_sort_later_one_by_one_and_many_at_once() -> None:
    ids = [new_id_text() for _ in range(500)] + list(IdRange.new(500)) + [new_id_text(), *IdRange.new(2)]
    assert all(earlier < later for earlier, later in pairwise(ids))


def test_every_id_is_a_uuid_of_version_7_that_begins_with_the_time() -> None:
    before = time.time_ns() // 1_000_000
    for text in [new_id_text(), str(new_job_id()), *IdRange.new(3)]:
        found = UUID(text)
        assert str(found) == text
        assert (found.version, found.variant) == (7, RFC_4122)
        assert before <= found.int >> 80 <= time.time_ns() // 1_000_000 + 1


def test_the_last_digits_tell_jobs_of_one_map_apart() -> None:
    assert len({text[-8:] for text in IdRange.new(1000)}) == 1000
