"""Standard output of a command line program, and what becomes of the program when it takes no more."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from jobnb.errors import JobnbError

if TYPE_CHECKING:
    from collections.abc import Iterator

CANT_WRITE = 5
"""The exit code of a program whose output could not be written."""

_FULL_OR_FAILING = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF}


@contextmanager
def standard_output(program: str) -> Iterator[None]:
    """Run a program's work; what it wrote is out at the end, or the program ends here.

    A reader that has seen enough, such as `head`, is no error: the program ends with 0 and says nothing. On a full disk
    it says so in a sentence, and ends with 5. Streams that were closed by whoever started it swallow everything.

    Args:
        program: the name in front of what is said.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115, PTH123 - open as long as the program runs
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except OSError as error:
        if isinstance(error, JobnbError) or not _is_about_output(error):
            raise
        _drop()
        if isinstance(error, BrokenPipeError):
            sys.exit(0)
        print(f"{program}: standard output can't be written: {error.strerror}", file=sys.stderr)  # noqa: T201
        sys.exit(CANT_WRITE)


def _is_about_output(error: OSError) -> bool:
    # an error of a file that was opened by name says which
    return isinstance(error, BrokenPipeError) or (error.filename is None and error.errno in _FULL_OR_FAILING)


def _drop() -> None:
    """Let nothing that is still in buffers raise again when the interpreter leaves."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    os.close(devnull)
