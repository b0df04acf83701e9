"""The watcher: a small process beside the embedded server that stops it when its last client was killed.

A client that leaves in order stops the server itself if it was the last one. One that was killed can't. So every
client also holds a shared lock on a second file until the very end, and the watcher waits for the exclusive one
(`watcher_wait`): the kernel grants it when the last client is gone, however that ended. Then the watcher becomes a
Python with jobnb, takes the start lock as everybody does who starts or stops the server, and stops it if there is
still no client. Nothing depends on it: if it was killed, the next client to join starts another, and stops the server
itself when it leaves.

Measured on a two-core Linux machine: to start it costs whoever starts the server 2 ms, to see that it is there costs
whoever joins 1 ms; while it waits it takes no processor time and 9 MB, of which 3 MB are its own; the server has ended
0.3 s after its last client was killed.
"""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from jobnb.db import launcher
from jobnb.db.folders import locate
from jobnb.db.postmaster import find
from jobnb.locks import FileLock

if TYPE_CHECKING:
    from jobnb.db.folders import Folders

_log = logging.getLogger("jobnb")

START_LOCK, CLIENTS_LOCK, LIVES_LOCK, WATCHER_LOCK = "start.lock", "clients.lock", "lives.lock", "watcher.lock"
LOCK_SECONDS = 150.0
"""How long to wait for another process that starts or stops the server."""
KEPT = "kept"
"""What the lives' lock file says when the server is to go on without clients."""

_STOP = "import sys; sys.path.append(sys.argv[1]); from jobnb.db import watcher; watcher.stop_if_unused(sys.argv[2])"


def watch(folders: Folders) -> None:
    """See to it that somebody watches a server of this machine; callers hold the start lock and are clients."""
    if find(folders) is None or not _can_start_python():
        return
    lock = FileLock(folders.base / WATCHER_LOCK)
    is_free = lock.try_exclusive()
    lock.close()
    if not is_free:
        return
    base = folders.base
    package = str(Path(__file__).parents[2])
    # isolated: neither the user's environment nor his site-packages take part in it
    stop = [sys.executable, "-I", "-c", _STOP, package, str(folders.home)]
    wait = [sys.executable, "-I", "-S", str(_program())]
    locks = [str(base / WATCHER_LOCK), str(base / LIVES_LOCK), str(folders.data / "postmaster.pid")]
    try:
        with folders.log.open("ab") as log:
            process = subprocess.Popen(
                [*wait, *locks, *stop],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd="/",
            )
    except OSError as error:
        _log.info("jobnb: nobody watches the embedded server in %s: %s", folders.home, error)
        return
    launcher.outlives_us(process)


def stop_if_unused(home: str) -> None:
    """Stop the server of `home` if it has no client, and nobody wants it to go on."""
    folders = locate(Path(home))
    start = FileLock(folders.base / START_LOCK, create=False)
    if not start.exclusive(LOCK_SECONDS):
        return
    clients = FileLock(folders.base / CLIENTS_LOCK, create=False)
    if clients.try_exclusive() and (folders.base / LIVES_LOCK).read_text() != KEPT:
        launcher.stop(folders)
    # in this order: whoever gets the start lock next must find the other one free
    clients.close()
    start.close()


def _program() -> Path:
    return Path(__file__).with_name("watcher_wait.py")


def _can_start_python() -> bool:
    """False where `sys.executable` is the user's own program, which jobnb is a part of: it would run again."""
    is_python = Path(sys.executable or "").name.lower().startswith(("python", "pypy"))
    return sys.platform != "win32" and is_python and not getattr(sys, "frozen", False) and _program().exists()
