"""`python -m monitor`: reads the arguments and runs what they ask for: the terminal program, or output for scripts."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from jobnb.stdout import standard_output
from monitor.arguments import Arguments, read_arguments
from monitor.output import Output, prepare_streams

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobnb.errors import JobnbError
    from jobnb.settings import Settings

INTERRUPTED = 130


def main() -> None:
    """Run the monitor and leave the interpreter with its exit code."""
    with standard_output("monitor"):
        prepare_streams()
        code = run(sys.argv[1:])
    sys.exit(code)


def run(given: Sequence[str]) -> int:
    """Run the monitor with these arguments; returns the exit code, which `--help` explains."""
    asked = read_arguments(given)
    from jobnb.errors import JobnbError

    try:
        return _run(asked)
    except KeyboardInterrupt:
        return INTERRUPTED
    except JobnbError as error:
        Output("table").complain(str(error))
        return _exit_code(error)


def _run(asked: Arguments) -> int:
    from jobnb.settings import Settings

    if asked.serve is not None:
        from monitor.tui.serve import serve

        if asked.database_url is not None:
            os.environ["DATABASE_URL"] = asked.database_url  # the arguments of a process can be read by others
        return serve(_served(asked), asked.serve)
    settings = Settings.load(database_url=asked.database_url)
    if not asked.is_for_scripts and _has_terminal():
        return _run_screen(asked, settings)
    return _run_script(asked, settings)


def _run_screen(asked: Arguments, settings: Settings) -> int:
    from monitor.postgres import PostgresSource
    from monitor.tui.app import Options
    from monitor.tui.app import run as run_app

    options = Options(settings.home, asked.filter.text, asked.theme, asked.refresh, asked.mouse)
    return run_app(PostgresSource(settings, read_only=asked.read_only), options)


def _run_script(asked: Arguments, settings: Settings) -> int:
    from monitor.follow import follow
    from monitor.once import run_once
    from monitor.postgres import PostgresSource

    out = Output(asked.format or "table", quiet=asked.quiet)
    source = PostgresSource(settings, read_only=True, recovers=not asked.read_only)
    try:
        return (follow if asked.follow or asked.until else run_once)(source, asked, out)
    finally:
        source.close()


def _has_terminal() -> bool:
    """True if the terminal program can be seen and used: it reads standard input and draws on standard error."""
    if os.environ.get("TEXTUAL_DRIVER"):  # textual-serve shows it in a browser, and talks to it through pipes
        return True
    streams = (sys.stdin, sys.stdout, sys.stderr)
    return all(stream is not None and stream.isatty() for stream in streams)


def _served(asked: Arguments) -> list[str]:
    """The arguments of each monitor that is shown in a browser."""
    chosen = {
        f"--filter={asked.filter.text}": asked.filter.text,
        f"--theme={asked.theme}": asked.theme,
        f"--refresh={asked.refresh}": asked.refresh,
        "--no-mouse": not asked.mouse,
        "--read-only": asked.read_only or not asked.read_write,
    }
    return [argument for argument, is_wanted in chosen.items() if is_wanted]


def _exit_code(error: JobnbError) -> int:
    from jobnb.errors import ConfigurationError, DatabaseError, DatabaseUnavailable, InvalidInput
    from monitor.link import WRONG_LOGIN

    if isinstance(error, DatabaseUnavailable) and error.sqlstate not in WRONG_LOGIN:
        return 3
    if isinstance(error, DatabaseError):
        return 4
    return 2 if isinstance(error, (ConfigurationError, InvalidInput)) else 4


if __name__ == "__main__":
    main()
