"""What a bar costs in a job: the same loop over tqdm and rich in a job, and outside of one where it is drawn.

    python benchmarks/bars.py

Prints the time in a job as a ratio of the time outside; medians of interleaved rounds. Drawing goes into the void, so
that a slow terminal does not flatter the job.
"""

from __future__ import annotations

import io
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable

from rich.console import Console
from rich.progress import track
from tqdm import tqdm

ROUNDS = 7


def over_tqdm(count: int) -> Iterable[int]:
    return tqdm(range(count))


def over_rich(count: int) -> Iterable[int]:
    return track(range(count), console=Console(file=io.StringIO(), force_terminal=True))


def loop(bar: Callable[[int], Iterable[int]], count: int) -> float:
    began = time.perf_counter()
    for _ in bar(count):
        pass
    return time.perf_counter() - began


def main() -> None:
    with tempfile.TemporaryDirectory() as home:
        os.environ["JOBNB_HOME"] = home
        import jobnb

        jobnb.submit(int).result()
        for name, bar, count in (("tqdm", over_tqdm, 1_000_000), ("rich", over_rich, 20_000)):
            inside, outside = [], []
            for _ in range(ROUNDS):
                inside.append(jobnb.submit(loop, bar, count).result())
                outside.append(loop(bar, count))
            ratio = statistics.median(inside) / statistics.median(outside)
            each = statistics.median(inside) / count * 1e9
            print(f"{name}: {ratio:.2f} times as long as outside of jobs ({each:,.0f} ns a step in a job)")


if __name__ == "__main__":
    main()
