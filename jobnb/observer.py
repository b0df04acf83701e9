"""The observer: judges processes of other hosts by whether their heartbeat stands still before its own eyes.

A heartbeat that is old says little: the server may have been away, or this process asleep. One that this process has
seen stand still, look after look, while it could reach the server all along, says that its owner can't; and after the
whole lease its jobs are given up.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime
    from uuid import UUID

LEASE = 900.0
"""Seconds of silence after which the jobs of a process of another host are given up, unless configured."""


class Observer:
    """Watches heartbeats.

    Args:
        lease: seconds that a heartbeat has to stand still.
        clock: seconds that only grow, and stand still while this computer sleeps.

    Attributes:
        look_every: how many seconds apart the looks should be; after a gap of half the lease a silence counts from
            anew, because this process can't say what happened meanwhile.
    """

    def __init__(self, lease: float = LEASE, clock: Callable[[], float] = time.monotonic) -> None:
        self.lease, self._clock = lease, clock
        self.look_every = min(30.0, lease / 30)
        self._since: dict[UUID, tuple[datetime, float]] = {}
        self._last_look = float("-inf")

    def look(self, heartbeats: Iterable[tuple[UUID, datetime]]) -> list[tuple[UUID, datetime]]:
        """Take in how things stand now.

        Args:
            heartbeats: of all processes that have unfinished jobs and have not said goodbye.

        Returns:
            Those whose heartbeat has stood still for the whole lease.
        """
        now = self._clock()
        if now - self._last_look > self.lease / 2:
            self._since.clear()
        self._last_look = now
        seen = dict(heartbeats)
        self._since = {
            kernel: self._since[kernel] if self._is_still(kernel, beat) else (beat, now)
            for kernel, beat in seen.items()
        }
        return [(kernel, beat) for kernel, (beat, since) in self._since.items() if now - since >= self.lease]

    def silences(self) -> dict[UUID, float]:
        """For how many seconds each heartbeat has been seen to stand still; more than a minute is suspicious."""
        return {kernel: self._last_look - since for kernel, (_, since) in self._since.items()}

    def _is_still(self, kernel: UUID, beat: datetime) -> bool:
        return kernel in self._since and self._since[kernel][0] == beat
