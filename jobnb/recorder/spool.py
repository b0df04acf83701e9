"""The spool: a file that holds every event until the database has it.

An appended line is in the page cache: it survives the end of the process however it ends, kill -9 included, and a
power cut from `sync` on. One spool belongs to one process; its name is the process's kernel id, and whether the owner
still lives is told by the lock of that kernel (`jobnb.recorder.liveness`). Under steady load there is always an event
that is not written yet, so the spool goes on in a new segment from time to time and drops the old ones.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from jobnb.recorder.lines import LineWriter, parse_lines

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from jobnb.recorder.events import AnyEvent

SEGMENT_BYTES = 8 * 1024 * 1024
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)


class Segment(NamedTuple):
    """A file that is not appended to any more.

    Attributes:
        path: its name.
        last: the number of its last event.
        descriptor: open, so that its content can be had even if somebody deletes it.
    """

    path: Path
    last: int
    descriptor: int


class Spool:
    """The spool of this process. The caller sees to it that only one thread at a time appends.

    Args:
        folder: made with mode 0700 if absent.
        kernel_id: whose spool it is.
    """

    def __init__(self, folder: Path, kernel_id: str) -> None:
        self._folder, self._kernel_id = folder, kernel_id
        self._segments: deque[Segment] = deque()
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

    def append(self, events: Sequence[AnyEvent], sequence: int) -> None:
        """Append events; `sequence` is the number of the last one.

        Raises:
            OSError: they are not in the spool (disk full, folder gone); nothing half-written is left behind.
        """
        if self._descriptor < 0:
            self._open()
        elif self._size > SEGMENT_BYTES:
            self._next_segment(sequence - len(events))
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
        while self._segments and self._segments[0].last <= sequence:
            segment = self._segments.popleft()
            os.close(segment.descriptor)
            segment.path.unlink(missing_ok=True)
        if is_last and self._size:
            os.ftruncate(self._descriptor, 0)
            self._size = 0
            self._writer.forget()

    def restore(self) -> bool:
        """Bring files back that somebody deleted; True if so. What they held is still behind the open descriptors.

        Raises:
            OSError: they can't be made anew.
        """
        segments = [*self._segments, Segment(self.path, 0, self._descriptor)]
        if self._descriptor < 0 or all(segment.path.exists() for segment in segments):
            return False
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._segments = deque(map(_in_place, self._segments))
        self._descriptor = _in_place(segments[-1]).descriptor
        return True

    def seal(self, sequence: int) -> int | None:
        """Go on in a new segment; gives a descriptor of the one before, for `sync_and_close`, or None if it is empty.

        Who appends to a file waits for those who bring it to the disk (measured); so nobody appends to that one any
        more. `sequence` is the number of the last event.
        """
        if self._descriptor < 0 or not self._size:
            return None
        self._next_segment(sequence)
        return os.dup(self._segments[-1].descriptor)

    def _next_segment(self, sequence: int) -> None:
        before = Segment(self.path, sequence, self._descriptor)
        self._number += 1
        try:
            self._open()
        except OSError:
            self._number -= 1
            raise
        self._segments.append(before)

    def close(self, *, is_empty: bool) -> None:
        """Close the files, and delete them if everything in them is in the database."""
        paths = [segment.path for segment in self._segments] + [self.path]
        self.forget()
        if is_empty:
            for path in paths:
                with contextlib.suppress(OSError):  # somebody may have put a file in the place of the folder
                    path.unlink(missing_ok=True)

    def forget(self) -> None:
        """Close the files and leave them: after a fork, in the child, they are the parent's."""
        for descriptor in [segment.descriptor for segment in self._segments] + [self._descriptor]:
            if descriptor >= 0:
                os.close(descriptor)
        self._segments.clear()
        self._descriptor = -1

    def _open(self) -> None:
        self._writer.forget()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._descriptor = os.open(self.path, _FLAGS, 0o600)
        self._size = os.fstat(self._descriptor).st_size


def _in_place(segment: Segment) -> Segment:
    """The segment, written anew if its file was deleted."""
    if segment.path.exists():
        return segment
    new = os.open(segment.path, _FLAGS, 0o600)
    os.write(new, os.pread(segment.descriptor, os.fstat(segment.descriptor).st_size, 0))
    os.close(segment.descriptor)
    return segment._replace(descriptor=new)


def sync_and_close(descriptor: int) -> None:
    """Bring a segment to the disk itself, so that it survives a power cut too, and close it."""
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def segments_of(folder: Path, kernel_id: str) -> list[Path]:
    """The spool files that a kernel left, oldest first."""
    found = folder.glob(f"{kernel_id}.*.jsonl")
    return sorted(found, key=lambda path: int(path.name.split(".")[1]))


def spooled_kernels(folder: Path) -> set[str]:
    """The ids of all kernels that have a spool in this folder."""
    return {path.name.split(".")[0] for path in folder.glob("*.*.jsonl")}


def read_segment(path: Path) -> tuple[list[AnyEvent], int]:
    """The readable events of a spool file, and how many lines were torn or damaged.

    Raises:
        OSError: it can't be read, or is a symbolic link.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    with os.fdopen(descriptor, "rb") as file:
        lines = [line for line in file.read().split(b"\n") if line]
    return parse_lines(lines)
