"""Who lives: every process that runs jobs holds a lock on a file of its own while it does.

The lock answers at once and without a clock: it is gone with its owner however that died, and it is held by a process
that is merely suspended. It answers for this host only; a note in the file says for which.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import platform
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from jobnb.locks import FileLock

if TYPE_CHECKING:
    from collections.abc import Iterator


class Note(NamedTuple):
    """What a lock file says of its owner; None where it says nothing.

    Attributes:
        host: the name of its computer.
        boot_id: one start of that computer's operating system.
        database: the name of its spool's folder, which stands for its database.
    """

    host: str | None = None
    boot_id: str | None = None
    database: str | None = None


class KernelLock:
    """The sign that this process lives; held until `release` or the end of the process.

    Args:
        home: `JOBNB_HOME`.
        kernel_id: whose sign it is.
        database: the name of its spool's folder.
    """

    def __init__(self, home: Path, kernel_id: str, database: str) -> None:
        self._path, self._kernel_id, self._database = _folder(home) / f"{kernel_id}.lock", kernel_id, database
        self._lock = self._take()

    def keep(self) -> None:
        """Have the sign again, if somebody removed the file, or a copy of it made in this process cost the lock."""
        if not self._path.exists():
            self._lock.close()
            self._lock = self._take()
        self._lock.try_exclusive()

    def release(self) -> None:
        """Give the sign up and remove its file."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)
        self._lock.close()
        _own_kernels().discard(self._kernel_id)

    def _take(self) -> FileLock:
        _own_kernels().add(self._kernel_id)
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # under another name until it is locked: nobody is to find it free. Windows renames no open file
        new = self._path if sys.platform == "win32" else self._path.with_suffix(".new")
        lock = FileLock(new)
        lock.try_exclusive()
        note = Note(socket.gethostname(), _boot_id(), self._database)
        with contextlib.suppress(OSError):  # on a full disk the lock says who lives, and no more
            lock.write(json.dumps(note._asdict()))
        if new != self._path:
            new.rename(self._path)
            lock.path = self._path
        return lock


def dead_kernels(home: Path) -> Iterator[tuple[str, Note]]:
    """The kernels of this host whose processes have ended, by their lock files under `home`, and what those say.

    A kernel of another host, whose files are seen over a network, is somebody else's to judge.
    """
    here = Note(socket.gethostname(), _boot_id())
    for kernel_id in locked_kernels(home):
        # opening a lock file of one's own a second time, and closing it, would give the lock away
        if kernel_id in _own_kernels():
            continue
        path = _folder(home) / f"{kernel_id}.lock"
        note = _read_note(path)
        if note.boot_id in (None, here.boot_id):
            if _is_free(path):
                yield kernel_id, note
        elif note.host == here.host:
            yield kernel_id, note  # this computer was started anew since


def is_alive_here(home: Path, kernel_id: str) -> bool:
    """True if a kernel has a lock under `home` and holds it: then nothing else may declare it dead."""
    path = _folder(home) / f"{kernel_id}.lock"
    if kernel_id in _own_kernels():
        return True
    return path.exists() and _read_note(path).boot_id in (None, _boot_id()) and not _is_free(path)


def bury(home: Path, kernel_id: str) -> None:
    """Remove the lock file of a dead kernel whose events are safe."""
    (_folder(home) / f"{kernel_id}.lock").unlink(missing_ok=True)


def locked_kernels(home: Path) -> list[str]:
    """The ids of all kernels that have a lock file, dead or alive."""
    return [path.stem for path in _folder(home).glob("*.lock")]


def _is_free(path: Path) -> bool:
    try:
        with contextlib.closing(FileLock(path, create=False)) as lock:
            # its owner removes it first and gives the lock back then
            return lock.try_exclusive() and lock.is_in_place()
    except OSError:
        return False  # gone, or not ours to judge: another user's, or a symbolic link


def _read_note(path: Path) -> Note:
    try:
        return Note(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return Note()


def _own_kernels() -> set[str]:
    """The kernels of this process; it has several if it uses several databases."""
    own: dict[int, set[str]] = sys.__dict__.setdefault("_jobnb_own_kernels", {})
    return own.setdefault(os.getpid(), set())


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
