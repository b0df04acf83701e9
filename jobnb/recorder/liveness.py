"""Who lives: every process that runs jobs holds a lock on a file of its own while it does.

The lock answers at once and without a clock: it is gone with its owner however that died, and it is held by a process
that is merely suspended. It answers for this host only.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import platform
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobnb.locks import FileLock

if TYPE_CHECKING:
    from collections.abc import Iterable


class KernelLock:
    """The sign that this process lives; held until `release` or the end of the process."""

    def __init__(self, home: Path, kernel_id: str) -> None:
        folder = _folder(home)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = FileLock(folder / f"{kernel_id}.lock")
        self._lock.try_exclusive()

    def release(self) -> None:
        """Give the sign up and remove its file."""
        self._lock.path.unlink(missing_ok=True)
        self._lock.close()


def dead_kernels(home: Path, kernel_ids: Iterable[str]) -> list[str]:
    """Those of these kernels whose lock file is here and free: their processes have ended.

    A kernel without a lock file under `home` is somebody else's to judge. The caller leaves its own kernel out.
    """
    dead = []
    for kernel_id in kernel_ids:
        path = _folder(home) / f"{kernel_id}.lock"
        if not path.is_file():
            continue
        with contextlib.closing(FileLock(path)) as lock:
            if lock.try_exclusive():
                dead.append(kernel_id)
    return dead


def bury(home: Path, kernel_id: str) -> None:
    """Remove the lock file of a dead kernel whose events are safe."""
    (_folder(home) / f"{kernel_id}.lock").unlink(missing_ok=True)


def locked_kernels(home: Path) -> list[str]:
    """The ids of all kernels that have a lock file, dead or alive."""
    return [path.stem for path in _folder(home).glob("*.lock")]


def describe_process() -> dict[str, Any]:
    """Who this process is, as the columns of `jobnb_kernels`."""
    return {
        "host": socket.gethostname(),
        "boot_id": _boot_id(),
        "pid": os.getpid(),
        "user": _user(),
        "notebook": notebook_path(),
        "python": platform.python_version(),
    }


def notebook_path() -> str | None:
    """The notebook this kernel serves, where the front end says so: Jupyter Server does, in `JPY_SESSION_NAME`."""
    return os.environ.get("JPY_SESSION_NAME") or None


def _folder(home: Path) -> Path:
    return home / "kernels"


def _boot_id() -> str:
    path = Path("/proc/sys/kernel/random/boot_id")
    return path.read_text().strip() if path.exists() else "unknown"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid()) if hasattr(os, "getuid") else "unknown"
