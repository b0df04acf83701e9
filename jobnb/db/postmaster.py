"""Which server works in a data folder: what it wrote down in `postmaster.pid`, checked against the process itself.

Nothing here connects as a client would: whether a server lives must not depend on whether it has a connection to
spare, or lets one in just now.
"""

from __future__ import annotations

import os
import socket
import struct
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from jobnb.db.folders import SOCKET_NAME

if TYPE_CHECKING:
    from jobnb.db.folders import Folders

ORPHAN_SECONDS = 5.0
"""How long the children of a killed server may take to notice."""
# answered with one byte before anything else is asked, also when there is no connection to spare; in PostgreSQL's
# documentation under "Message Formats"
_SSL_REQUEST = struct.pack("!II", 8, 80877103)
_STATUS = {"ready": "ready", "standby": "ready", "stopping": "stopping"}


class Postmaster(NamedTuple):
    """A server, as its own note describes it.

    Attributes:
        pid: process id, in the process namespace where it was started.
        socket_folder: None until it has made its socket.
        status: `starting`, `ready` or `stopping`.
    """

    pid: int
    socket_folder: Path | None
    status: str

    @property
    def has_socket(self) -> bool:
        """Whether its socket is where it made it."""
        return self.socket_folder is not None and (self.socket_folder / SOCKET_NAME).exists()

    def listens(self) -> bool:
        """Whether something takes connections at its socket, answered or not."""
        if self.socket_folder is None:
            return False
        with socket.socket(socket.AF_UNIX) as probe:
            probe.setblocking(False)
            try:
                probe.connect(os.fsencode(self.socket_folder / SOCKET_NAME))
            except (FileNotFoundError, ConnectionRefusedError):
                return False
            except BlockingIOError:
                pass  # its queue is full
        return True

    def serves(self) -> bool:
        """Whether connections at its socket reach a server: `listens`, and they are not dropped again.

        The children of a server that was killed may hold its socket for a moment: nobody takes what comes there, and it
        is closed with the last of them. A server that is frozen counts as one that serves.
        """
        if not self.listens() or self.socket_folder is None:
            return False
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(ORPHAN_SECONDS)
            try:
                probe.connect(os.fsencode(self.socket_folder / SOCKET_NAME))
                probe.sendall(_SSL_REQUEST)
                return bool(probe.recv(1))
            except (TimeoutError, BlockingIOError):
                return True
            except OSError:
                return False


def noted(folders: Folders) -> Postmaster | None:
    """What the last server that started wrote down; it may be gone. None if there is no note."""
    try:
        # pid, data folder, start time, port, socket folder, address, shared memory, status: in PostgreSQL's
        # src/include/utils/pidfile.h, and what pg_ctl reads too
        lines = (folders.data / "postmaster.pid").read_bytes().split(b"\n")
        pid = int(lines[0])
    except (OSError, ValueError):
        return None
    lines += [b""] * 8
    status = _STATUS.get(lines[7].decode("ascii", "replace").strip(), "starting")
    return Postmaster(pid, Path(os.fsdecode(lines[4])) if lines[4] else None, status)


def find(folders: Folders) -> Postmaster | None:
    """The server that works in our data folder and lives, as a process of this machine; None if there is none."""
    server = noted(folders)
    return server if server is not None and _is_our_server(server.pid, folders) else None


def _is_our_server(pid: int, folders: Folders) -> bool:
    """A note outlives its server, and its number may by now be anybody's: an editor's that has our data open, too."""
    data = os.fsencode(folders.data)
    process = Path(f"/proc/{pid}")
    if Path("/proc/self").exists():
        try:
            name, option, folder, *_ = (process / "cmdline").read_bytes().split(b"\0") + [b""] * 3
            state = (process / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return False
        named = option == b"-D" and (folder == data or os.path.realpath(folder) == data)
        return state != "Z" and name.rpartition(b"/")[2] == b"postgres" and named
    listed = subprocess.run(["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, check=False)
    return b"postgres -D " + data + b" " in listed.stdout.replace(b"\n", b" ")
