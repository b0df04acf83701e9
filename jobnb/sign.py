"""`SignOfLife`: the lock by which others on this host know that this process lives, and what is said if it fails."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from jobnb.errors import ConfigurationError
from jobnb.recorder import liveness

if TYPE_CHECKING:
    from pathlib import Path

_log = logging.getLogger("jobnb")


class SignOfLife:
    """Held by a process that may run jobs, until it has nothing unfinished any more.

    Args:
        home: `JOBNB_HOME`.
        kernel_id: of this process.
        database: the name of the folder with the spools for its database.
    """

    def __init__(self, home: Path, kernel_id: str, database: str) -> None:
        self._home, self._kernel_id, self._database = home, kernel_id, database
        self._lock: liveness.KernelLock | None = None
        self._has_failed = False

    def give(self) -> None:
        """Give the sign, from now on; safe to call again.

        Raises:
            ConfigurationError: `JOBNB_HOME` can't be written.
        """
        if self._lock is not None:
            return
        try:
            # by themselves: `parents=True` gives parents the mode of everybody else's folders
            self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
            (self._home / "spool").mkdir(mode=0o700, exist_ok=True)
            self._lock = liveness.KernelLock(self._home, self._kernel_id, self._database)
        except OSError as error:
            raise ConfigurationError(
                f"jobnb can't write in {self._home} ({error.strerror or error}), where it keeps what is not in the "
                "database yet: set JOBNB_HOME to a folder of your own"
            ) from None

    def keep(self) -> None:
        """See to it that it still counts."""
        if self._lock is None:
            return
        try:
            self._lock.keep()
        except OSError as error:
            if not self._has_failed:  # once
                _log.warning("jobnb: can't keep this process's lock in %s (%s): others may take it for dead, and its "
                             "jobs for lost, until they end", self._home, error)  # fmt: skip
            self._has_failed = True

    def end(self) -> None:
        """Give it up: there is nothing left that others would have to care for."""
        if self._lock is not None:
            self._lock.release()
