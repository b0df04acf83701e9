"""`Board`: the numbers of the header, each read again as often as it is worth what it costs."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from jobnb.db.queries import counts, places
from jobnb.db.rows import SILENT_SECONDS, Mark
from monitor.model import EVERYTHING, Bucket, Count, Overview
from monitor.pace import Pace

if TYPE_CHECKING:
    from monitor.link import Link

BUCKETS = 120
"""Seconds that the throughput goes back."""
_LATE = timedelta(seconds=2)
"""How long after its second an end may become visible."""
_SETTLED = timedelta(seconds=5)
"""How old jobs are of which no more appear: a kernel brings them a moment after they were made."""
_MANY = 1_000
"""Jobs above the base that are counted again and again at most."""
_FRESH_SECONDS = 5.0
_BASE_FRESH_SECONDS = 20.0


class Board:
    """Keeps the numbers between two looks. Safe to use from several threads; they take turns."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._lock = threading.Lock()
        self._counts: counts.Counts | None = None
        self._counted_at = 0.0
        self._changing = Pace(0.012, 0.9)
        self._base: tuple[Mark, int] | None = None
        self._based_at = 0.0
        self._deleted: int | None = None
        self._counting = Pace(0.003, 10.0)
        self._estimate = 0
        self._seconds: dict[datetime, tuple[int, int]] = {}
        self._ending = Pace(0.006, 0.4)
        self._since: datetime | None = None

    def overview(self) -> Overview:
        """See `Source.overview`."""
        with self._lock:
            if self._counts is None:
                self._estimate = self._link.run(counts.estimate_all)
            elif self._counting.is_due:
                with self._counting.timed():
                    self._count_base()
            if self._counts is None or self._changing.is_due:
                if self._base is not None and self._counts is not None and self._counts.newer > _MANY:
                    self._advance_base(*self._base)
                with self._changing.timed():
                    self._counts = self._link.run(
                        counts.count_changing, self._base[0] if self._base else None, SILENT_SECONDS
                    )
                self._counted_at = time.monotonic()
                if self._deleted is None:
                    self._deleted = self._counts.deleted
                self._link.set_clock(self._counts.as_of)
            if self._ending.is_due:
                with self._ending.timed():
                    self._count_seconds()
            return self._put_together(self._counts)

    def _count_base(self) -> None:
        """Count the jobs that are older than some seconds; later ones are few, and counted each time."""
        base = self._settled()
        self._base = (base, self._link.run(counts.count_all, base))
        self._based_at = time.monotonic()
        self._deleted = None
        self._changing.now()

    def _advance_base(self, base: Mark, count: int) -> None:
        """Let the base take in the jobs that came since, before they are many."""
        later = self._settled()
        came = self._link.run(places.count_between, EVERYTHING, later, base, 10**9)
        self._base = (later, count + came)

    def _settled(self) -> Mark:
        made = (self._link.now() - _SETTLED).replace(tzinfo=None)
        return Mark(made.isoformat(" "), places.WITHOUT_TIME.job_id)

    def _count_seconds(self) -> None:
        now = self._link.now()
        since = self._since or now - timedelta(seconds=BUCKETS)
        since = since.replace(microsecond=0)
        self._seconds |= self._link.run(counts.count_finished, since)
        self._since = now - _LATE
        oldest = now - timedelta(seconds=BUCKETS + 5)
        self._seconds = {at: ended for at, ended in self._seconds.items() if at >= oldest}

    def _put_together(self, found: counts.Counts) -> Overview:
        is_fresh = time.monotonic() - self._counted_at < _FRESH_SECONDS
        kinds = found.failures
        known = {
            "scheduled": found.queued,
            "in_progress": found.running,
            "failed": sum(count for kind, count in kinds.items() if kind not in ("cancelled", "timeout", "lost")),
            "cancelled": kinds.get("cancelled", 0),
            "timeout": kinds.get("timeout", 0),
            "lost": kinds.get("lost", 0),
        }
        total = self._total(found, sum(known.values()), is_fresh)
        by_state = {state: Count(count, is_fresh) for state, count in known.items()}
        by_state["done"] = Count(max(0, total.value - sum(known.values())), total.exact)
        return Overview(
            counts=by_state,
            total=total,
            buckets=self._buckets(),
            newest=found.newest,
            oldest_queued=found.oldest_queued,
            kernels=found.kernels,
            silent=found.silent,
            as_of=found.as_of,
        )

    def _total(self, found: counts.Counts, at_least: int, is_fresh: bool) -> Count:
        if self._base is None:
            return Count(max(self._estimate, at_least), exact=found.newest is None)
        # a standby does not count what is deleted
        is_whole = self._deleted == found.deleted and not self._link.state().server.is_standby
        is_based = is_whole or time.monotonic() - self._based_at < _BASE_FRESH_SECONDS
        return Count(max(self._base[1] + found.newer, at_least), is_based and is_fresh)

    def _buckets(self) -> tuple[Bucket, ...]:
        last = self._link.now().replace(microsecond=0) - timedelta(seconds=1)
        seconds = [last - timedelta(seconds=back) for back in range(BUCKETS - 1, -1, -1)]
        ended = [self._seconds.get(second, (0, 0)) for second in seconds]
        return tuple(Bucket(at, count - failed, failed) for at, (count, failed) in zip(seconds, ended, strict=True))
