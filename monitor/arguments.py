"""The command line of the monitor: what can be asked for."""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobnb.errors import InvalidInput
from monitor.conditions import parse_conditions
from monitor.filter_words import nearest, read_seconds
from monitor.filters import FilterError, parse
from monitor.model import EVERYTHING, NEWEST, SORT_KEYS, Filter, Sort

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.conditions import Condition
    from monitor.formats import Format

SHOWN = ("jobs", "overview", "errors", "types", "kernels")
PORT = 8123

_DESCRIPTION = "Every job of every kernel, live in a terminal; or as data, for scripts."
_EPILOG = """\
filter:       state:failed type:train. -kernel:host-3 took:>30s since:2h error:"bad shape" word
              keys: state type name error message kernel since before created started finished took waited
              progress attempt id group retry_of same function executor document property; - means not
conditions:   failed>0  lost>=1,queued>1000  failed>5%  oldest_queued>10m   (commas: any of them)
              of the jobs that the filter finds; with nothing else asked for, nothing is written
exit codes:   0 well   1 a --fail-if condition holds   2 the call can't be right
              3 the database can't be reached, try again   4 it can't be used: no tables, no privilege, wrong login
              5 the output can't be written   130 interrupted
output:       standard output is data, standard error is what is said about it. --json is one object a line.
              Without a terminal the monitor behaves as with --once.
"""


@dataclass(frozen=True)
class Arguments:
    """What was asked for.

    Attributes:
        database_url: which database; None for the environment's.
        filter: which jobs.
        sort: in which order.
        show: `jobs`, `overview`, `errors`, `types` or `kernels`.
        format: how; None for the terminal program if there is a terminal, else a table.
        once: no terminal program.
        follow: go on as things change.
        limit: how many at most; infinite for all; None for what suits.
        fail_if: any of these makes the exit code 1.
        until: any of these ends it.
        refresh: seconds between two looks; None for what suits.
        read_only: refuse every action.
        quiet: say nothing about the data.
        mouse: let the terminal program use the mouse.
        theme: the terminal program's theme; empty for the settings file's.
        serve: the port to serve the terminal program at, on this machine only; None to do no such thing.
        read_write: let the served program change jobs.
    """

    database_url: str | None = None
    filter: Filter = EVERYTHING
    sort: Sort = NEWEST
    show: str = "jobs"
    format: Format | None = None
    once: bool = False
    follow: bool = False
    limit: float | None = None
    fail_if: tuple[Condition, ...] = ()
    until: tuple[Condition, ...] = ()
    refresh: float | None = None
    read_only: bool = False
    quiet: bool = False
    mouse: bool = True
    theme: str = ""
    serve: int | None = None
    read_write: bool = False

    @property
    def is_for_scripts(self) -> bool:
        """True if the arguments alone say that no terminal program is wanted."""
        return bool(self.once or self.follow or self.format or self.fail_if or self.until or self.show != "jobs")

    @property
    def is_question(self) -> bool:
        """True if nothing is to be written, only `--fail-if` to be answered."""
        return bool(self.fail_if) and not (self.once or self.format or self.limit is not None or self.show != "jobs")

    @property
    def count_limit(self) -> int | None:
        """The limit, as slices take it."""
        return None if self.limit is None or math.isinf(self.limit) else int(self.limit)


def read_arguments(given: Sequence[str]) -> Arguments:
    """Read the command line; ends the program for `--help`, and with 2 for what can't be right."""
    parser = _parser()
    found = parser.parse_args(given)
    try:
        return _arguments(found)
    except FilterError as error:
        parser.error(f"{error}\n    {found.filter}\n    {' ' * error.start}{'^' * max(1, error.end - error.start)}")
    except InvalidInput as error:
        parser.error(str(error))


def _arguments(found: argparse.Namespace) -> Arguments:
    return Arguments(
        database_url=found.database_url or found.url,
        filter=parse(found.filter),
        sort=_sort(found.sort),
        show=found.show,
        format=found.format,
        once=found.once,
        follow=found.follow,
        limit=_limit(found.limit),
        fail_if=parse_conditions(found.fail_if),
        until=parse_conditions(found.until),
        refresh=None if found.refresh is None else max(0.05, read_seconds(found.refresh)),
        read_only=found.read_only,
        quiet=found.quiet,
        mouse=found.mouse,
        theme=found.theme,
        serve=found.serve,
        read_write=found.read_write,
    )


def _sort(text: str | None) -> Sort:
    if text is None:
        return NEWEST
    key, _, direction = text.partition(":")
    if key not in SORT_KEYS or direction not in ("", "asc", "desc"):
        raise InvalidInput(f"--sort: no order {text!r}{nearest(key, SORT_KEYS)}; :asc or :desc may follow")
    # unless told otherwise, times and lengths begin with the greatest, words with A
    descending = key not in ("type", "name", "state", "kernel") if not direction else direction == "desc"
    return Sort(key, descending)


def _limit(text: str | None) -> float | None:
    if text is None or text == "all":
        return None if text is None else math.inf
    if not text.isdecimal():
        raise InvalidInput(f"--limit: {text!r} is no number: write 100, or all")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="monitor",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("url", nargs="?", metavar="URL", help="the same as --database-url")
    add("--database-url", metavar="URL", help="which PostgreSQL; else DATABASE_URL, .env, or the embedded server")
    add("-q", "--filter", metavar="FILTER", default="", help="which jobs, see below")
    add("--read-only", action="store_true", help="change nothing, whoever asks")
    add("--refresh", metavar="TIME", help="look this often: 0.5, 2s")
    data = parser.add_argument_group("for scripts")
    data.add_argument("--once", action="store_true", help="write what there is, and end")
    data.add_argument("--json", dest="format", action="store_const", const="json", help="one JSON object a line")
    data.add_argument("--csv", dest="format", action="store_const", const="csv", help="CSV, safe for spreadsheets")
    data.add_argument("--follow", "-f", action="store_true", help="write every change as it is seen")
    data.add_argument("--limit", metavar="N", help="how many jobs at most, or all (50; 10 before --follow)")
    data.add_argument("--show", choices=SHOWN, default="jobs", help="what to write (jobs)")
    data.add_argument("--sort", metavar="KEY", help=f"{', '.join(SORT_KEYS)}; with :asc or :desc")
    data.add_argument("--fail-if", metavar="CONDITION", default="", help="exit with 1 if this holds, see below")
    data.add_argument("--until", metavar="CONDITION", default="", help="wait, and exit with 0 as soon as this holds")
    data.add_argument("--quiet", action="store_true", help="say nothing on standard error but errors")
    screen = parser.add_argument_group("for the terminal")
    screen.add_argument("--theme", metavar="NAME", default="", help="colours: any theme of Textual, or jobnb's own")
    screen.add_argument("--no-mouse", dest="mouse", action="store_false", help="leave the mouse to the terminal")
    screen.add_argument("--serve", metavar="PORT", type=int, nargs="?", const=PORT,
                        help=f"show it in a browser at 127.0.0.1:PORT ({PORT}), read-only")  # fmt: skip
    screen.add_argument("--read-write", action="store_true", help="with --serve: allow actions; there is no password")
    return parser
