"""How long `import jobnb` takes, next to the two libraries that it can't do without.

Its names load at their first use, so the second row of jobnb is what the first `jobnb.submit` adds to a session.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]
BASIS = "sqlalchemy + psycopg"
IMPORTS = {
    "nothing": "pass",
    BASIS: "import sqlalchemy, psycopg",
    "jobnb": "import jobnb",
    "jobnb, with all it uses": "import jobnb; jobnb.submit",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15)
    runs: int = parser.parse_args().runs
    times: dict[str, list[float]] = {name: [] for name in IMPORTS}
    for _ in range(runs + 1):
        for name, statement in IMPORTS.items():
            times[name].append(seconds_of(statement))
    # the first round only fills the caches
    medians = {name: statistics.median(taken[1:]) for name, taken in times.items()}
    print(f"Python {platform.python_version()}, medians of {runs} processes each\n")
    for name, median in medians.items():
        print(f"{name:24}{median * 1000:8.1f} ms")
    print()
    for name in list(IMPORTS)[2:]:
        print(f"{name} / ({BASIS}) = {medians[name] / medians[BASIS]:.2f}")


def seconds_of(statement: str) -> float:
    """The time of the statement itself, in a fresh interpreter; its start does not count."""
    code = f"import time; began = time.perf_counter(); {statement}; print(time.perf_counter() - began)"
    done = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    return float(done.stdout)


if __name__ == "__main__":
    main()
