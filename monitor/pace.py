"""`Pace`: how often something may be done, by what it costs."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Pace:
    """Lets something be done again when enough time has passed that it takes no more than a share of it.

    Args:
        share: of the time, in (0, 1].
        least: seconds between two times in any case.
    """

    def __init__(self, share: float, least: float = 0.0) -> None:
        self._share, self._least = share, least
        self._next = 0.0
        self.seconds = 0.0
        """What it took the last time."""

    @property
    def is_due(self) -> bool:
        """True if it may be done now."""
        return time.monotonic() >= self._next

    @property
    def wait(self) -> float:
        """Seconds until it is due."""
        return max(0.0, self._next - time.monotonic())

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Do it in the block; if that fails, it is due again."""
        began = time.monotonic()
        yield
        self.took(time.monotonic() - began)

    def took(self, seconds: float) -> None:
        """It was just done, and took so long."""
        self.seconds = seconds
        self._next = time.monotonic() + max(self._least, seconds / self._share)

    def now(self) -> None:
        """Make it due."""
        self._next = 0.0
