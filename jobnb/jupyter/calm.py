"""While jobs compute in threads, cells get their turn sooner: the interpreter switches threads more often.

With six jobs in pure Python on two cores, `1 + 1` in a cell took 0.56 s at Python's interval of 5 ms and 0.28 s at
this one, and the jobs got no less done (`benchmarks/notebook_lag.py`).
"""

from __future__ import annotations

import sys

INTERVAL = 0.0005
"""Seconds."""

_before: float | None = None


def quicken() -> None:
    """Switch more often, unless somebody has chosen an even shorter interval."""
    global _before  # noqa: PLW0603 - the interval is the interpreter's, so is what it was before
    if _before is None and (now := sys.getswitchinterval()) > INTERVAL:
        _before = now
        sys.setswitchinterval(INTERVAL)


def relax() -> None:
    """Put it back as it was, unless somebody has changed it since."""
    global _before  # noqa: PLW0603
    if _before is not None:
        if abs(sys.getswitchinterval() - INTERVAL) < INTERVAL / 10:
            sys.setswitchinterval(_before)
        _before = None
