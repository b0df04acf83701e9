"""Waiting for what is to happen, instead of sleeping and hoping; and how long it may take."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


class TooSlow(AssertionError):
    """Something took longer than it may, and nothing else was wrong.

    Other work on the machine can be the reason: pytest runs such a test again (`--only-rerun` in pyproject.toml, and
    `R` in its summary). What is slow by itself is slow every time, and fails.
    """


def until(condition: Callable[[], Any], seconds: float = 30.0, why: str = "it did not happen in time") -> None:
    """Return as soon as the condition holds; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, why
        time.sleep(0.01)


def in_time(began: float, at_most: float) -> None:
    """Check that no more than `at_most` seconds have gone by since `began`, a reading of `time.monotonic`."""
    not_slow(time.monotonic() - began, at_most)


def not_slow(seconds: float, at_most: float) -> None:
    """Check that something which took `seconds` was not slow."""
    if seconds > at_most:
        raise TooSlow(f"took {seconds:.3f} s, and may take {at_most:g} s")
