"""The program that waits for the embedded server's last client; see `jobnb.db.watcher`, which starts it.

It imports nothing of jobnb and next to nothing else, because it waits as long as the server runs. No polling: the
kernel wakes it when the last lock is gone.
"""

from __future__ import annotations

import fcntl
import os
import sys


def wait(watcher_lock: str, lives_lock: str, note: str, command: list[str]) -> None:
    """Become `command` when nobody holds a lock on `lives_lock` any more, unless the server has gone by then.

    Args:
        watcher_lock: held by the one that waits; if it is taken, this one is not needed.
        lives_lock: each client holds it, shared, from its beginning to its end.
        note: the file that a server removes when it stops.
        command: what to become; its first item is an absolute path.
    """
    watching = os.open(watcher_lock, os.O_RDWR)
    try:
        fcntl.lockf(watching, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return
    lives = os.open(lives_lock, os.O_RDWR)
    fcntl.lockf(lives, fcntl.LOCK_EX)
    # first this: a client that gets the other lock next is to see that nobody watches any more
    os.close(watching)
    if os.path.exists(note):  # noqa: PTH110 - pathlib would cost a megabyte
        os.execv(command[0], command)


if __name__ == "__main__":
    wait(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:])
