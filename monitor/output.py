"""`Output`: where data and narration go. Standard output is data, standard error is what is said about it."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING, Any

from monitor import formats
from monitor.terminal import safe_line

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from monitor.formats import Format
    from monitor.model import JobRow


class Output:
    """Writes jobs, and other things that have columns, in one format; a line is out when it was written.

    Args:
        chosen: the format.
        quiet: say nothing on standard error but errors.
    """

    def __init__(self, chosen: Format, *, quiet: bool = False) -> None:
        self.format = chosen
        self._quiet = quiet
        # half a line of a table is of use on a terminal only
        self._width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        self._in_color = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        self._has_header = False

    def jobs(self, rows: Sequence[JobRow], now: datetime) -> None:
        """Write some jobs, one a line."""
        for row in rows:
            if self.format == "table":
                self._table_line(formats.job_cells(row, now), formats.JOB_COLUMNS, row.state)
            else:
                self.record(formats.job_record(row, now))
        sys.stdout.flush()

    def record(self, record: dict[str, Any]) -> None:
        """Write one thing in JSON or CSV; CSV has the members of the first one as its columns."""
        if self.format == "json":
            print(formats.as_json(record))
            return
        if not self._has_header:
            self._has_header = True
            print(formats.as_csv(record))
        print(formats.as_csv(record.values()))

    def table(self, columns: dict[str, int], lines: Sequence[Sequence[str]]) -> None:
        """Write a table: its columns with their widths, its cells."""
        for cells in lines:
            self._table_line([safe_line(cell, 300) for cell in cells], columns, None)
        sys.stdout.flush()

    def say(self, words: str) -> None:
        """Say something about the data."""
        if not self._quiet:
            self.complain(words)

    def complain(self, words: str) -> None:
        """Say what is wrong, quiet or not."""
        print(f"monitor: {safe_line(words, 2_000)}", file=sys.stderr, flush=True)

    def _table_line(self, cells: Sequence[str], columns: dict[str, int], state: str | None) -> None:
        widths = list(columns.values())
        if not self._has_header:
            self._has_header = True
            print(formats.as_table_line(list(columns), widths, self._width))
        line = formats.as_table_line(cells, widths, self._width)
        print(formats.colored(line, state) if state and self._in_color else line)


def prepare_streams() -> None:
    """Let no character be an error, whatever encoding the terminal has."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
