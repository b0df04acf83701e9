"""How often the monitor looks: often while something changes, rarely otherwise, not at all while it is held."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from monitor.source import Source

BUSY, IDLE, AWAY = 0.1, 0.5, 5.0
"""Seconds between two looks: while something changes, while nothing does, while the terminal is not looked at."""
ASLEEP = 300.0
"""Seconds without a key after which a database that sleeps when unused is left to sleep."""
SLOW_LINK = 0.05
"""Seconds for a short read from which on the link is spared."""


class Pace:
    """Asked by the feeds in their threads, set by the program in its own."""

    def __init__(self, source: Source, refresh: float | None = None) -> None:
        """Make a pace.

        Args:
            source: whose link is asked how it is.
            refresh: seconds between two looks, if somebody has decided that.
        """
        self.held = False
        self.blurred = False
        self._source = source
        self._refresh = refresh
        self._slowness = 1.0
        self._remote = bool(os.environ.get("SSH_CONNECTION"))
        self._last_input = time.monotonic()

    def seconds(self, *, busy: bool) -> float | None:
        """Seconds until the next look; None to look only when asked to."""
        if self.held or self.is_asleep:
            return None
        if self._refresh is not None:
            return self._refresh * self._slowness
        if self.blurred:
            return AWAY
        sparing = self._remote or (self._source.link().latency or 0.0) > SLOW_LINK
        return (BUSY if busy else IDLE) * self._slowness * (2 if sparing else 1)

    @property
    def is_asleep(self) -> bool:
        """True if the database is left to sleep: looking keeps it awake, and its owner pays for that."""
        return self._source.link().server.sleeps and time.monotonic() - self._last_input > ASLEEP

    def touched(self) -> bool:
        """Somebody is there; True if that ends a sleep."""
        slept = self.is_asleep
        self._last_input = time.monotonic()
        return slept

    def change(self, by: int) -> str:
        """Look twice as often (-1) or half as often (1); returns what to say about it."""
        self._slowness = min(64.0, max(0.25, self._slowness * 2.0**by))
        if self._slowness == 1:
            return "looking as often as usual"
        if self._slowness > 1:
            return f"looking {self._slowness:.0f} times less often"
        return f"looking {1 / self._slowness:.0f} times as often"
