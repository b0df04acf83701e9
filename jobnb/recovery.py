"""What a process does for dead ones: store what they left in the spool, then close their jobs. Nothing is run again.

A process of this host is dead when its lock is free, at once and beyond doubt. One of another host is given up only
after a long silence that this process itself has watched (`jobnb.observer`). Either way `lost` is a suspicion in the
row: should the process turn up after all, the real end of the same attempt counts.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING
from uuid import UUID

from jobnb.db import queries
from jobnb.errors import DatabaseUnavailable, PermissionDenied
from jobnb.observer import Observer
from jobnb.recorder import liveness, replay
from jobnb.recorder.recorder import spool_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jobnb.db.database import Database
    from jobnb.settings import Settings

_log = logging.getLogger("jobnb")

LOOK_EVERY = 0.9
"""Seconds between two looks at the locks of this host; a look costs a fraction of a millisecond."""


class Recovery:
    """Looks for dead processes that used a database, and closes what they left. Safe to use from any thread.

    Several processes may do this at once: a replayed event changes nothing the second time.

    Args:
        home: `JOBNB_HOME`.
        folder: where the spools for this database are.
        database: where their jobs are.
        lease: seconds of silence after which a process of another host is given up.
    """

    def __init__(self, home: Path, folder: Path, database: Database, lease: float) -> None:
        self._home, self._folder, self._database = home, folder, database
        self._observer = Observer(lease)
        self._looked = self._observed = float("-inf")
        self._busy = threading.Lock()
        self._handled: set[str] = set()
        self._may_not = False

    def finds_dead(self) -> bool:
        """True if a process of this host has died that used this database; no query is needed to know."""
        return any(True for _ in self._dead())

    def look(self) -> list[UUID]:
        """Recover what died on this host since the last look; does nothing if that was less than a second ago.

        Returns:
            The ids of the jobs that were lost.

        Raises:
            DatabaseUnavailable: not now; everything stays where it is, for the next look.
        """
        if self._may_not or time.monotonic() - self._looked < LOOK_EVERY or not self._busy.acquire(blocking=False):
            return []
        try:
            self._looked = time.monotonic()
            dead = list(self._dead())
            return self._recover(dead) if dead else []
        except PermissionDenied:
            self._may_not = True  # a role that only watches: others will do it
            return []
        finally:
            self._busy.release()

    def observe(self) -> list[UUID]:
        """Look at the heartbeats of all hosts, and give up those that have been silent for the whole lease.

        Returns:
            The ids of the jobs that were lost.

        Raises:
            DatabaseUnavailable: not now; the silence has to be watched anew.
        """
        if self._may_not or time.monotonic() - self._observed < self._observer.look_every:
            return []
        self._observed = time.monotonic()
        lost = []
        for kernel_id, heartbeat in self._observer.look(self._database.run(queries.heartbeats)):
            if not liveness.is_alive_here(self._home, str(kernel_id)):
                try:
                    lost += self._database.run(queries.close_silent, kernel_id, heartbeat)
                except PermissionDenied:
                    self._may_not = True
        return _told(lost)

    def _dead(self) -> Iterator[str]:
        for kernel, note in liveness.dead_kernels(self._home):
            is_ours = note.database in (None, self._folder.name)
            if is_ours and kernel not in self._handled and _is_uuid(kernel):
                yield kernel

    def _recover(self, dead: list[str]) -> list[UUID]:
        for kernel in dead:
            if not replay.replay(self._folder, kernel, self._database):
                raise DatabaseUnavailable(f"what the dead process {kernel} left could not be stored now")
        lost = self._database.run(queries.close_lost, [UUID(kernel) for kernel in dead])
        for kernel in dead:
            # a file that can't be read stays, and so does the sign that somebody left it
            self._handled.add(kernel)
            if not replay.segments_of(self._folder, kernel):
                liveness.bury(self._home, kernel)
        return _told(lost)


def recovery_of(settings: Settings, database: Database) -> Recovery:
    """The recovery of a database for a program that only looks at it."""
    return Recovery(settings.home, spool_folder(settings.home, database), database, settings.lease)


def _told(lost: list[UUID]) -> list[UUID]:
    if lost:
        count = "1 unfinished job" if len(lost) == 1 else f"{len(lost)} unfinished jobs"
        _log.warning("jobnb: %s of a process that went away: marked as lost", count)
    return lost


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
