"""Jobs and results as tables: what a data scientist gets in hand."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest

import jobnb

pytestmark = pytest.mark.usefixtures("client")


def area(width: int, height: int = 2) -> int:
    if width == 3:
        raise ValueError("too wide")
    return width * height


def test_results_are_a_list_in_order_and_a_table_of_what_gave_them() -> None:
    results = jobnb.map(area, [1, 2, 4]).results(10)
    assert results == [2, 4, 8]
    assert isinstance(results, list)
    frame = results.to_pandas()
    assert list(frame.columns) == ["width", "status", "time", "value"]
    assert frame["width"].tolist() == [1, 2, 4]
    assert frame["value"].tolist() == [2, 4, 8]
    assert (str(frame["value"].dtype), str(frame["time"].dtype), str(frame["status"].dtype)) == (
        "int64",
        "float64",
        "category",
    )
    assert "<table" in (results._repr_html_() or "")


def test_the_table_of_a_group_tells_failures_and_unfinished_jobs_without_waiting() -> None:
    group = jobnb.map(area, [1, 3], [5, 6])
    group.wait(10)
    frame = group.to_pandas()
    assert frame[["width", "height"]].values.tolist() == [[1, 5], [3, 6]]
    assert frame["status"].tolist() == ["done", "failed"]
    assert frame["value"].tolist()[0] == 5
    assert pd.isna(frame["value"].tolist()[1])
    assert frame["error"].tolist() == [None, "ValueError: too wide"] or pd.isna(frame["error"].tolist()[0])
    slow = jobnb.map(time.sleep, [0.3])
    assert slow.to_pandas()["status"].tolist()[0] in ("scheduled", "in_progress")
    slow.wait()


def test_values_that_are_tables_themselves_stay_whole() -> None:
    frame = jobnb.map(lambda n: np.arange(3), range(2)).results(10).to_pandas()
    assert [value.tolist() for value in frame["value"]] == [[0, 1, 2], [0, 1, 2]]


def gather_up(status: str, *rest: int, **more: int) -> str:
    return f"{status} {rest} {more}"


def test_a_parameter_called_like_a_column_keeps_its_values() -> None:
    frame = jobnb.map(gather_up, ["open"], [7]).results(10).to_pandas()
    assert frame.drop(columns="time").to_dict("records") == [
        {"status_": "open", "rest[0]": 7, "status": "done", "value": "open (7,) {}"}
    ]


def test_the_list_of_jobs_is_a_table_with_the_right_types() -> None:
    jobnb.map(area, [1, 3]).wait(10)
    jobs = jobnb.jobs()
    frame = jobs.to_pandas()
    assert len(frame) == 2
    assert str(frame["created_at"].dtype).startswith("datetime64")
    assert str(frame["created_at"].dt.tz) == "UTC"
    assert (frame["duration_s"].dtype, str(frame["status"].dtype)) == (np.float64, "category")
    assert "2 jobs, newest first" in jobs._repr_html_()
    assert repr(jobs).splitlines()[0].split() == ["state", "id", "type", "name", "created", "time", "message"]
    assert "no jobs" in jobnb.jobs(job_type="nothing")._repr_html_()


def test_waiting_that_is_interrupted_says_what_goes_on() -> None:
    from jobnb.waiting import stopped_waiting

    group = jobnb.map(time.sleep, [0.5, 0.5])
    assert "2 jobs go on" in stopped_waiting(group)
    group.wait()
    one = jobnb.submit(time.sleep, 0.5)
    assert f"job {one.job_id.hex[-8:]} goes on" in stopped_waiting([*group, one])
    one.wait()


async def test_gather_raises_the_first_failure_without_waiting_for_the_others() -> None:
    async def slow() -> None:
        while True:
            jobnb.check_cancelled()
            await asyncio.sleep(0.02)

    import asyncio

    patient, broken = jobnb.submit(slow), jobnb.submit(area, 3)
    with pytest.raises(ValueError, match="too wide"):
        await asyncio.wait_for(jobnb.gather(patient, broken), 5)
    assert patient.cancel()
    assert await jobnb.gather() == []
    assert await jobnb.gather(*jobnb.map(area, [1, 2])) == [2, 4]


async def test_a_cancelled_await_leaves_the_job_alone() -> None:
    import asyncio

    job = jobnb.submit(time.sleep, 0.4)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(jobnb.gather(job), 0.05)
    assert job.job.cancel_requested_at is None
    assert await job is None


def test_slice_of_a_list_is_a_table_as_the_list_is() -> None:
    jobnb.wait([jobnb.submit(area, width) for width in (1, 2, 4)], 10)
    jobs = jobnb.jobs()

    newest, oldest_first = jobs[:2], jobs[::-1]

    assert newest == list(jobs)[:2]
    assert "2 jobs, newest first" in newest._repr_html_()
    assert len(newest.to_pandas()) == 2
    assert "3 jobs" in oldest_first._repr_html_()
    assert "newest first" not in oldest_first._repr_html_()
    assert jobs[-1] == list(jobs)[-1]


def test_slice_of_a_group_is_a_group() -> None:
    group = jobnb.map(area, [1, 2, 4])

    assert group[1:].results(10) == [4, 8]
    assert group[1:].group_id == group.group_id
    assert group[-1].result(10) == 8
