"""The spool: a file that holds every event until the database has it.

An appended line is in the page cache: it survives the end of the process however it ends, kill -9 included, and a
power cut from `sync` on. One spool belongs to one process; its name is the process's kernel id, and whether the owner
still lives is told by the lock of that kernel (`jobnb.recorder.liveness`). Under steady load there is always an event
that is not written yet, so the spool goes on in a new segment from time to time and drops the old ones.
"""

from __future__ import annotations

import os
from collections import deque
from typing import TYPE_CHECKING

from jobnb.recorder.lines import LineWriter, parse_lines

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from jobnb.recorder.events import Event

SEGMENT_BYTES = 8 * 1024 * 1024
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)


class Spool:
    """The spool of this process. The caller sees to it that only one thread at a time appends.

    Args:
        folder: made with mode 0700 if absent.
        kernel_id: whose spool it is.
    """

    def __init__(self, folder: Path, kernel_id: str) -> None:
        self._folder, self._kernel_id = folder, kernel_id
        self._segments: deque[tuple[Path, int]] = deque()
        self._number = 0
        self._descriptor = -1
        self._size = 0
        self._writer = LineWriter()

    @property
    def size(self) -> int:
        """Bytes in the segment that is being written, what the database has already included."""
        return self._size

    @property
    def path(self) -> Path:
        """The segment that is being written."""
        return self._folder / f"{self._kernel_id}.{self._number}.jsonl"

    def append(self, events: Sequence[Event], sequence: int) -> None:
        """Append events; `sequence` is the number of the last one.

        Raises:
            OSError: they are not in the spool (disk full, folder gone); nothing half-written is left behind.
        """
        if self._descriptor < 0:
            self._open()
        elif self._size > SEGMENT_BYTES:
            # in this order: an interrupt between any two of these loses nothing
            self._segments.append((self.path, sequence - len(events)))
            self._number += 1
            full, self._descriptor = self._descriptor, -1
            os.close(full)
            self._open()
        try:
            self._write(b"".join(self._writer.lines(events)))
        except BaseException:
            self._writer.forget()
            raise

    def _write(self, data: bytes) -> None:
        if not data:
            return
        written = os.write(self._descriptor, data)
        if written != len(data):
            # a full disk shows as a short write, without an exception
            os.ftruncate(self._descriptor, self._size)
            raise OSError(28, "no space left for the spool", str(self.path))
        self._size += written

    def acknowledge(self, sequence: int, *, is_last: bool) -> None:
        """Forget the events up to `sequence`; `is_last` says that no later one was appended."""
        while self._segments and self._segments[0][1] <= sequence:
            self._segments.popleft()[0].unlink(missing_ok=True)
        if is_last and self._size:
            os.ftruncate(self._descriptor, 0)
            self._size = 0
            self._writer.forget()

    def sync(self) -> None:
        """Bring everything to the disk itself, so that it survives a power cut too."""
        if self._descriptor >= 0:
            os.fsync(self._descriptor)

    def close(self, *, is_empty: bool) -> None:
        """Close the file, and delete it if everything in it is in the database."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        if is_empty:
            for path in [segment[0] for segment in self._segments] + [self.path]:
                path.unlink(missing_ok=True)
            self._segments.clear()

    def forget(self) -> None:
        """After a fork, in the child: this is the parent's spool."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1

    def _open(self) -> None:
        self._writer.forget()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._descriptor = os.open(self.path, _FLAGS, 0o600)
        self._size = os.fstat(self._descriptor).st_size


def segments_of(folder: Path, kernel_id: str) -> list[Path]:
    """The spool files that a kernel left, oldest first."""
    found = folder.glob(f"{kernel_id}.*.jsonl")
    return sorted(found, key=lambda path: int(path.name.split(".")[1]))


def spooled_kernels(folder: Path) -> set[str]:
    """The ids of all kernels that have a spool in this folder."""
    return {path.name.split(".")[0] for path in folder.glob("*.*.jsonl")}


def read_segment(path: Path) -> tuple[list[Event], int]:
    """The readable events of a spool file, and how many lines were torn or damaged.

    Raises:
        OSError: it can't be read, or is a symbolic link.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    with os.fdopen(descriptor, "rb") as file:
        lines = [line for line in file.read().split(b"\n") if line]
    return parse_lines(lines)
