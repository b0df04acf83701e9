"""`install`: what a job prints, logs and warns goes into its log, and is still shown where it would have been.

The job is found by a context variable, so several jobs print at once without mixing. Three places are changed, once
for the process: `sys.stdout` and `sys.stderr` are wrapped (others may replace them, so every job's start looks
again); `logging.Logger.callHandlers`, because handlers keep the stream they were made with; and
`threading.Thread.start`, because before Python 3.14 a new thread does not inherit the context of the one that starts
it. Text that C code writes to the file descriptors passes by unseen.
"""

from __future__ import annotations

import contextvars
import logging
import sys
import threading
from typing import Any

from jobnb.tracking.execution import current

_muted: contextvars.ContextVar[bool] = contextvars.ContextVar("jobnb_muted", default=False)
_formatter = logging.Formatter("%(levelname)s %(name)s: %(message)s")
_installed = threading.Event()


class JobStream:
    """A stream that also writes to the log of the job it is called from; everything else is the stream's own."""

    def __init__(self, stream: Any, name: str) -> None:
        self.stream, self._name = stream, name

    def write(self, text: str) -> Any:
        """Write `text`; into the job's log too, if this is a job's code."""
        execution = current.get()
        if execution is not None and not _muted.get():
            execution.write(self._name, str(text))
        return self.stream.write(text)

    def writelines(self, lines: Any) -> None:
        """Write all lines."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def __iter__(self) -> Any:
        return iter(self.stream)


def install() -> None:
    """Make sure that output finds its job; cheap when that is so already."""
    if type(sys.stdout) is not JobStream and sys.stdout is not None:
        sys.stdout = JobStream(sys.stdout, "stdout")
    if type(sys.stderr) is not JobStream and sys.stderr is not None:
        sys.stderr = JobStream(sys.stderr, "stderr")
    if not _installed.is_set():
        _installed.set()
        _wrap_logging()
        _wrap_threads()


def uninstall_streams() -> None:
    """Give `sys.stdout` and `sys.stderr` back, where nobody has replaced them since."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if type(stream) is JobStream:
            setattr(sys, name, stream.stream)


def _wrap_logging() -> None:
    call_handlers = logging.Logger.callHandlers

    def call_handlers_in_job(self: logging.Logger, record: logging.LogRecord) -> None:
        execution = current.get()
        if execution is None:
            return call_handlers(self, record)
        execution.write("log", _formatter.format(record) + "\n")
        # a handler that writes to a stream would put the same line into the log once more
        token = _muted.set(True)
        try:
            return call_handlers(self, record)
        finally:
            _muted.reset(token)

    logging.Logger.callHandlers = call_handlers_in_job  # type: ignore[method-assign] # see the module's docstring


def _wrap_threads() -> None:
    start = threading.Thread.start

    def start_in_job(self: threading.Thread) -> None:
        if current.get() is not None:
            context, run = contextvars.copy_context(), self.run
            self.run = lambda: context.run(run)  # type: ignore[method-assign] # of this one thread
        return start(self)

    threading.Thread.start = start_in_job  # type: ignore[method-assign] # see the module's docstring
