"""Locks on files that die with their owner, however it dies.

POSIX record locks (`fcntl.lockf`), not `flock`: a child made by `fork` does not inherit them, so a kernel's lock
is free the moment the kernel is gone, even when its children live on. Two consequences shape this module: closing
*any* descriptor of a file drops the process's locks on it, so a lock file is opened once and kept; and a process
never blocks itself, so the callers add a thread lock where threads compete. `lock_for_child` is the exception, for
the one case where the children are meant.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_log = logging.getLogger("jobnb")

if sys.platform == "win32":  # pragma: no cover - exercised on Windows only
    import msvcrt

    def _try_lock(descriptor: int, *, shared: bool) -> bool:  # noqa: ARG001 - Windows has no shared record lock
        try:
            os.lseek(descriptor, 0, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

    def _lock_open_file(descriptor: int) -> None:
        """Windows has no lock that a child inherits."""

else:
    import fcntl

    def _try_lock(descriptor: int, *, shared: bool) -> bool:
        try:
            fcntl.lockf(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            return False
        return True

    def _unlock(descriptor: int) -> None:
        fcntl.lockf(descriptor, fcntl.LOCK_UN)

    def _lock_open_file(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


_OPEN_FLAGS = os.O_RDWR | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)


def lock_for_child(path: Path) -> int | None:
    """Open a file and lock it for whoever inherits the descriptor; None if somebody has it locked already.

    The lock belongs to the open file: it lasts until the last process that inherited it has ended, on whatever
    machine that shares the file. A file system that knows no such locks keeps nobody out.

    Args:
        path: created if absent, with mode 0600; a symbolic link is refused (`OSError`).
    """
    descriptor = os.open(path, _OPEN_FLAGS | os.O_CREAT, 0o600)
    try:
        _lock_open_file(descriptor)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError as error:
        _log.info("jobnb: no lock on %s: %s", path, error)
    return descriptor


class FileLock:
    """One lock file, opened at once and kept open until `close`.

    Args:
        path: a symbolic link is refused (`OSError`).
        create: make it if absent, with mode 0600; otherwise that is a `FileNotFoundError`.
    """

    def __init__(self, path: Path, *, create: bool = True) -> None:
        self.path = path
        self._descriptor = os.open(path, _OPEN_FLAGS | (os.O_CREAT if create else 0), 0o600)

    def try_exclusive(self) -> bool:
        """Take the lock for this process alone; False if another process holds any lock on it."""
        return _try_lock(self._descriptor, shared=False)

    def try_shared(self) -> bool:
        """Take, or step down to, a lock that others may share; False if another process holds it exclusively."""
        return _try_lock(self._descriptor, shared=True)

    def exclusive(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds for the exclusive lock; True if it was taken."""
        deadline = time.monotonic() + timeout
        while not self.try_exclusive():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    def shared(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds for a lock that others may share; True if it was taken."""
        deadline = time.monotonic() + timeout
        while not self.try_shared():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    def is_in_place(self) -> bool:
        """True if the file is still there under its name; a lock on one that was removed means nothing."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), self.path.stat())
        except FileNotFoundError:
            return False

    def write(self, text: str) -> None:
        """Replace what the file says; locks don't depend on it."""
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, text.encode("utf-8"), 0)

    def unlock(self) -> None:
        """Give the lock back; the file stays open."""
        _unlock(self._descriptor)

    def close(self) -> None:
        """Give the lock back and close the file. Safe to call twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
