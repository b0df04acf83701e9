"""`install`: what a job prints, logs and warns goes into its log, and is still shown where it would have been.

The job is found by a context variable, so several jobs print at once without mixing. Four places are changed, once
for the process: `sys.stdout` and `sys.stderr` are wrapped (others may replace them, so every job's start looks
again); `logging.Logger.callHandlers`, because handlers keep the stream they were made with; `threading.Thread.start`,
because before Python 3.14 a new thread does not inherit the context of the one that starts it; and
`ThreadPoolExecutor.submit`, because the threads of a pool stay in the context of whoever made the pool grow. Text that
C code writes to the file descriptors passes by unseen.
"""

from __future__ import annotations

import contextvars
import logging
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from jobnb.tracking import redirects
from jobnb.tracking.execution import current

if TYPE_CHECKING:
    from jobnb.tracking.execution import Execution

_muted: contextvars.ContextVar[bool] = contextvars.ContextVar("jobnb_muted", default=False)
_formatter = logging.Formatter("%(levelname)s %(name)s: %(message)s")
_installed = threading.Event()


Echo = Callable[["Execution", str, str], bool]
Around = Callable[["Execution", Callable[[], Any]], Any]

echo: Echo | None = None
"""Shows what a job prints somewhere else than where it is printed; returns False to let it pass. A notebook's hook."""
around: Around | None = None
"""Calls the function of a job, with something before and after it, in the job's thread. A notebook's hook."""


class JobStream:
    """A stream that also writes to the log of the job it is called from; everything else is the stream's own.

    IPython replaces the `write` of `sys.stdout` while a cell runs, to remember what the cell printed. What it sets is
    used outside of jobs only: a job's text is not the cell's that happens to run.
    """

    def __init__(self, stream: Any, name: str) -> None:
        self.stream, self._name = stream, name
        self._replaced: Any = None

    @property
    def write(self) -> Callable[[str], Any]:
        """Write a text; into the job's log too, if this is a job's code."""
        if current.get() is not None:
            return self._write_in_job
        return self.stream.write if self._replaced is None else self._replaced  # type: ignore[no-any-return]

    @write.setter
    def write(self, write: Callable[[str], Any]) -> None:
        self._replaced = write

    def _write_in_job(self, text: str) -> Any:
        execution, text = current.get(), str(text)
        if execution is None:
            return self.stream.write(text)
        if (redirected := redirects.target(self._name)) is not None:
            return redirected.write(text)
        if not _muted.get():
            execution.write(self._name, text)
        if echo is not None and echo(execution, self._name, text):
            return len(text)
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
        _wrap_pools()
        redirects.install(install)


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
        execution.write("log", _formatted(record) + "\n")
        if echo is not None:
            _adopt_handlers(self)
        # a handler that writes to a stream would put the same line into the log once more
        token = _muted.set(True)
        try:
            return call_handlers(self, record)
        finally:
            _muted.reset(token)

    logging.Logger.callHandlers = call_handlers_in_job  # type: ignore[method-assign] # see the module's docstring


def _adopt_handlers(logger: logging.Logger | None) -> None:
    """Make handlers that keep a stream of before its wrapping write to the wrapped one: what they show has a limit."""
    wrapped = [stream for stream in (sys.stdout, sys.stderr) if isinstance(stream, JobStream)]
    while logger is not None:
        for handler in logger.handlers:
            for stream in wrapped:
                if isinstance(handler, logging.StreamHandler) and handler.stream is stream.stream:
                    handler.setStream(stream)
        logger = logger.parent if logger.propagate else None


def _formatted(record: logging.LogRecord) -> str:
    try:
        return _formatter.format(record)
    except Exception as error:
        # arguments that do not fit, say: the handlers report that on stderr, and a call to logging never raises
        text = f" {record.msg!r:.1000}" if isinstance(record.msg, str) else ""
        return f"{record.levelname} {record.name}: (can't be formatted: {type(error).__name__}){text}"


def _wrap_threads() -> None:
    start = threading.Thread.start

    def start_in_job(self: threading.Thread) -> None:
        if current.get() is not None:
            context, run = contextvars.copy_context(), self.run
            self.run = lambda: context.run(run)  # type: ignore[method-assign] # of this one thread
        return start(self)

    threading.Thread.start = start_in_job  # type: ignore[method-assign] # see the module's docstring


def _wrap_pools() -> None:
    submit = ThreadPoolExecutor.submit

    def submit_in_context(self: ThreadPoolExecutor, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        return submit(self, contextvars.copy_context().run, fn, *args, **kwargs)

    ThreadPoolExecutor.submit = submit_in_context  # type: ignore[assignment, method-assign] # see the module's docstring
