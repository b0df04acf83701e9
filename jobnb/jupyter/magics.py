"""`%load_ext jobnb`: the magics `%%job`, `%jobs`, `%job`, `%cancel` and `%joblog`."""

from __future__ import annotations

import itertools
import keyword
import shlex
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments

from jobnb import api
from jobnb.errors import AmbiguousJobId, ConfigurationError, InvalidInput, JobNotFound
from jobnb.groups import JobList
from jobnb.jupyter import completion
from jobnb.jupyter.cell import compile_body, make_run
from jobnb.jupyter.loop import enable_asyncio_run

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from jobnb.handle import JobHandle

P = ParamSpec("P")
R = TypeVar("R")

LAST = "_job"
"""The name that always has the handle of the newest `%%job`."""
_MOMENT = 0.2
"""Seconds that `%cancel` waits to tell whether the job has stopped."""
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_ACTIVE = ("scheduled", "in_progress")

_WHICH = "its id as shown, or a variable with its handle; the newest %%%%job if not given"

_help = argument("-h", "--help", action="store_true", help="show this text")


def load_ipython_extension(shell: Any) -> None:
    """What `%load_ext jobnb` calls: register the magics, and let `asyncio.run` work in cells."""
    shell.register_magics(JobMagics)
    completion.install(shell)
    try:
        if not enable_asyncio_run() and hasattr(shell, "kernel"):
            # loaded by a configuration file, before the kernel's loop runs
            shell.events.register("pre_run_cell", _enable_later)
    except ConfigurationError as error:
        print(f"jobnb: {error}", file=sys.stderr)


def _enable_later(*_: object) -> None:
    from IPython import get_ipython

    get_ipython().events.unregister("pre_run_cell", _enable_later)
    enable_asyncio_run()


@magics_class
class JobMagics(Magics):
    """The magics of jobnb."""

    @magic_arguments("%job")
    @argument("-t", "--type", default="cell", help="the kind of job, for lists and the monitor")
    @argument("-n", "--name", help="what to call it; the first line of the cell if not given")
    @argument("--timeout", type=float, metavar="S", help="seconds that the cell may take")
    @argument("-o", "--out", metavar="VAR", help="a variable for the job's handle, beside _job")
    @argument("--wait", action="store_true", help="wait for the end, and raise here what the cell raises")
    @_help
    @cell_magic("job")
    def job_cell(self, line: str, cell: str) -> None:
        """Run this cell as a job, in the background.

        The next cell can run at once. What this one prints and shows appears here. It works on a copy of the
        notebook's variables; those that it assigns are there when it has succeeded, and its last expression is the
        job's result:

            %%job -t training -n "random forest" -o fit
            model = RandomForestClassifier(500).fit(X, y)
            model.score(X_test, y_test)

        Then fit.result() waits for the score, and %cancel _job asks the cell to stop (it does at the next step of a
        progress bar or jobnb.track, or at jobnb.check_cancelled()). await works at the top level, in an event loop of
        the job's own. Line magics and !commands work inside; a second cell magic works on the notebook's own variables.
        """
        options = _parse(self.job_cell, line)
        if options is None:
            return
        body = compile_body(self.shell, line, cell)
        out = _variable(options.out, body.assigned)
        text = f"%%job {line}".rstrip() + f"\n{cell}"
        run = make_run(self.shell, body, text, shows_errors=not options.wait)
        job: JobHandle[Any] = _ask(
            api.submit, run, job_type=options.type, name=options.name or body.title, timeout=options.timeout
        )
        job.add_done_callback(lambda _: run.let_go())
        self.shell.user_ns[LAST] = job
        if out is not None:
            self.shell.user_ns[out] = job
        if options.wait:
            __tracebackhide__ = True  # IPython leaves this frame out of the cell's traceback
            job.result()

    @magic_arguments("job")
    @argument("job", nargs="?", help=_WHICH)
    @_help
    @line_magic("job")
    def job_line(self, line: str) -> JobHandle[Any] | None:
        """Show a job, of any kernel, running or long finished; as a value it is the job's handle."""
        options = _parse(self.job_line, line)
        return None if options is None else self._find(options.job)

    @magic_arguments("jobs")
    @argument("status", nargs="?", help="scheduled, in_progress, done, failed, cancelled, timeout or lost")
    @argument("-a", "--active", action="store_true", help="those that have not ended")
    @argument("-f", "--failed", action="store_true", help="those that failed")
    @argument("-t", "--type", help="those of this type")
    @argument("-s", "--search", metavar="TEXT", help="those with this text in name, type or message")
    @argument("-n", "--limit", type=int, default=20, help="how many at most, the newest first; 20 if not given")
    @_help
    @line_magic("jobs")
    def jobs(self, line: str) -> JobList | None:
        """List the newest jobs of every kernel; as a value it is what jobnb.jobs() returns."""
        options = _parse(self.jobs, line)
        if options is None:
            return None
        if options.active + options.failed + (options.status is not None) > 1:
            raise UsageError("give one of STATUS, --active and --failed")
        states = _ACTIVE if options.active else ("failed" if options.failed else options.status,)
        found = [_ask(api.jobs, state, options.type, None, options.search, options.limit) for state in states]
        # each list is in order; rows that another program wrote without a time come last
        newest = sorted(itertools.chain(*found), key=lambda job: job.created_at or _LONG_AGO, reverse=True)
        return JobList(newest[: options.limit])

    @magic_arguments("cancel")
    @argument("job", help="its id as shown, or a variable with its handle")
    @_help
    @line_magic("cancel")
    def cancel(self, line: str) -> None:
        """Ask a job to stop; one that is queued never starts."""
        options = _parse(self.cancel, line)
        if options is None:
            return
        job = self._find(options.job)
        if not _ask(job.cancel):
            print(f"job {job.job.short_id} had ended already: {job.job.state}")
        elif job.wait(_MOMENT):
            print(f"job {job.job.short_id} is cancelled")
        else:
            print(f"job {job.job.short_id} was asked to stop")

    @magic_arguments("joblog")
    @argument("job", nargs="?", help=_WHICH)
    @argument("-f", "--follow", action="store_true", help="go on until the job has ended")
    @argument("-n", "--lines", type=int, metavar="N", help="only the last N lines")
    @_help
    @line_magic("joblog")
    def joblog(self, line: str) -> None:
        """Print what a job printed and logged."""
        options = _parse(self.joblog, line)
        if options is None:
            return
        if options.lines is not None and options.lines < 0:
            raise UsageError(f"--lines is {options.lines}: give a number of lines")
        job = self._find(options.job)
        if options.follow:
            for entry in job.logs(follow=True):
                print(entry.line)
            return
        entries = _ask(job.logs)
        shown = entries if options.lines is None else entries[max(0, len(entries) - options.lines) :]
        print("\n".join(entry.line for entry in shown) or "(nothing was printed)")

    def _find(self, given: str | None) -> JobHandle[Any]:
        """The job with an id, or in a variable."""
        from jobnb.handle import JobHandle

        value = self.shell.user_ns.get(given or LAST)
        if isinstance(value, JobHandle):
            return value
        if given is None:
            raise UsageError("which job? give its id; no %%job has run in this kernel yet")
        return _ask(api.get, given)


def _parse(magic: Any, line: str) -> argparse.Namespace | None:
    """The options on a magic's line; None if only help was asked for, which is shown."""
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise UsageError(f"{error}: {line}") from None
    if "-h" in words or "--help" in words:
        print(magic.__doc__)
        return None
    options: argparse.Namespace = magic.parser.parse_args(words)
    return options


def _ask(call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call; what the user wrote wrong is told in one line, without a traceback."""
    try:
        return call(*args, **kwargs)
    except (InvalidInput, JobNotFound, AmbiguousJobId) as error:
        raise UsageError(str(error)) from None


def _variable(name: str | None, assigned: set[str]) -> str | None:
    if name is None:
        return None
    if not name.isidentifier() or keyword.iskeyword(name):
        raise UsageError(f"-o {name}: that is no name for a variable")
    if name in assigned:
        raise UsageError(f"-o {name}: the cell itself assigns {name}; give the handle another name")
    return name
