"""One process of the soak: submits jobs of many kinds until it is told to finish, and writes down what it was told.

It writes three files, a line at a time, so that they tell the truth however it ends: `accepted` (ids of jobs that
`submit` returned), `ran` (id and attempt of functions that began) and `told` (id, state and value of jobs that ended).
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import threading
import time
from collections.abc import Callable

import jobnb
from jobnb.api import default_service
from jobnb.db import queries
from jobnb.tracking.execution import current

PAUSE = 0.04
"""Seconds between two submissions, on average."""

files = {name: os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND) for name in ("accepted", "ran", "told", "waits")}


def write(name: str, line: str) -> None:
    os.write(files[name], f"{line}\n".encode())


def began() -> None:
    execution = current.get()
    assert execution is not None
    write("ran", f"{execution.job_id} {execution.attempt}")


def value(number: int) -> int:
    began()
    time.sleep(random.random() * 0.05)
    returned[number] = (time.perf_counter(), asleep)
    return number * 3


async def value_of_a_coroutine(number: int) -> int:
    began()
    await asyncio.sleep(random.random() * 0.05)
    return number * 3


def talkative(number: int) -> int:
    began()
    for step in jobnb.track(range(20), description="step"):
        print("step", step, "of job", number)
        time.sleep(0.002)
    return number * 3


def failing(number: int) -> int:
    began()
    raise ValueError(f"job {number} fails")


def flaky(number: int) -> int:
    began()
    execution = current.get()
    if execution is not None and execution.attempt == 1:
        raise OSError(f"job {number} fails once")
    return number * 3


def listening(number: int) -> int:
    began()
    ends = time.monotonic() + 1
    while time.monotonic() < ends:
        jobnb.check_cancelled()
        time.sleep(0.01)
    return number * 3


KINDS: list[tuple[float, Callable[[int], object], dict[str, object]]] = [
    (0.60, value, {}),
    (0.10, value_of_a_coroutine, {}),
    (0.05, talkative, {}),
    (0.10, failing, {}),
    (0.05, flaky, {"retries": 2}),
    (0.05, listening, {}),  # to be cancelled
    (0.05, listening, {"timeout": 0.2}),
]

returned: dict[int, tuple[float, float]] = {}
longest = {"submit": 0.0, "end": 0.0}
asleep = 0.0


def watch_for_sleep() -> None:
    """Measure for how long this process did not run at all: suspended by the soak, or out of its turn."""
    global asleep  # noqa: PLW0603 - one number, one writer
    before = time.perf_counter()
    while True:
        time.sleep(0.005)
        now = time.perf_counter()
        asleep += max(0.0, now - before - 0.05)
        before = now


def note(what: str, began: float, asleep_then: float) -> None:
    """Note how long something took, without the time in which this process did not run."""
    took = time.perf_counter() - began
    if took > 0.01:
        time.sleep(0.01)  # let the watch look at the clock
        took = max(0.0, took - (asleep - asleep_then))
    longest[what] = max(longest[what], took)


def tell(number: int, job: jobnb.JobHandle[object]) -> None:
    if (moment := returned.pop(number, None)) is not None:
        note("end", *moment)
    state = job.job.state
    write("told", f"{job.job_id} {state} {json.dumps(job.result()) if state == 'done' else ''}")


def cancel_later(job: jobnb.JobHandle[object]) -> None:
    time.sleep(random.random() * 0.5)
    try:
        if random.random() < 0.5:
            job.cancel()
        else:
            default_service().runtime.database.run(queries.cancel_job, job.job_id)  # as from elsewhere
    except (jobnb.DatabaseUnavailable, jobnb.JobNotFound):
        job.cancel()


def submit(number: int) -> jobnb.JobHandle[object]:
    weights = [weight for weight, _, _ in KINDS]
    _, fn, options = random.choices(KINDS, weights)[0]
    asked, asleep_then = time.perf_counter(), asleep
    job: jobnb.JobHandle[object] = jobnb.submit(fn, number, job_type="soak", name=fn.__name__, **options)  # type: ignore[arg-type]
    if number % 1_000_000:  # the first one of a process connects
        note("submit", asked, asleep_then)
    write("accepted", str(job.job_id))
    job.add_done_callback(lambda handle: tell(number, handle))
    if fn is listening and not options:
        threading.Thread(target=cancel_later, args=(job,), daemon=True).start()
    return job


def main() -> None:
    finish = threading.Event()

    def wait_for_the_word() -> None:
        sys.stdin.readline()
        finish.set()

    threading.Thread(target=wait_for_the_word, daemon=True).start()
    threading.Thread(target=watch_for_sleep, daemon=True).start()
    first = int(sys.argv[1])
    while True:
        try:
            jobs = [submit(first)]
            break
        except jobnb.DatabaseUnavailable:
            time.sleep(0.5)  # the first use of a process fails at once while the server is away
    number = first + 1
    while not finish.wait(random.random() * 2 * PAUSE):
        jobs = [job for job in jobs if not job.done()] + [submit(number)]
        number += 1
    assert all(job.wait(120) for job in jobs), "jobs hang"
    default_service().runtime.recorder.settle(120)
    write("waits", json.dumps(longest))


if __name__ == "__main__":
    main()
