"""How long `1 + 1` takes in a cell while jobs compute, with the interval jobnb sets and with Python's own.

    python benchmarks/notebook_lag.py

Prints medians, and how many times quicker jobnb's interval makes a cell; then what the jobs got done with each.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "tools"))

from kernel_driver import Kernel, running_kernel

JOBS, LOOKS, SECONDS = 8, 15, 3.0
SETUP = """
import jobnb, sys, threading, time
def compute(seconds):
    rounds, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        sum(i * i for i in range(1000))
        rounds += 1
    return rounds
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, running_kernel(Path(folder), JOBNB_HOME=f"{folder}/home") as kernel:
        kernel.run(SETUP + "jobnb.submit(int).result()", 60)
        print(f"no jobs: {latency(kernel) * 1000:.0f} ms")
        plain, plain_work = with_jobs(kernel, "sys.setswitchinterval(0.005)")
        ours, our_work = with_jobs(kernel, "pass")
        print(f"{JOBS} jobs, Python's interval: {plain * 1000:.0f} ms; jobnb's: {ours * 1000:.0f} ms")
        print(f"ratio of the two: {plain / ours:.1f}; work done with jobnb's, of Python's: {our_work / plain_work:.2f}")


def with_jobs(kernel: Kernel, once_they_run: str) -> tuple[float, int]:
    submit = f"jobs = [jobnb.submit(compute, {SECONDS + LOOKS * 0.3}) for _ in range({JOBS})]"
    kernel.run(f"{submit}\ntime.sleep(0.5)\n{once_they_run}", 60)
    median = latency(kernel)
    done = kernel.run("print(sum(job.result() for job in jobs))", 60).text
    kernel.run("time.sleep(2.5)", 60)  # the interval is put back
    return median, int(done)


def latency(kernel: Kernel) -> float:
    spans = []
    for _ in range(LOOKS):
        began = time.perf_counter()
        kernel.run("1 + 1", 60)
        spans.append(time.perf_counter() - began)
    return statistics.median(spans)


if __name__ == "__main__":
    main()
