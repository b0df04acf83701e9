"""The terminal program: what all screens share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from monitor.source import Source


@dataclass(frozen=True)
class Options:
    """How the terminal program starts.

    Attributes:
        home: the folder of `monitor.toml`, and of what is copied where no clipboard can be reached: JOBNB_HOME.
        filter_text: the filter to begin with.
        theme: a theme's name; empty for the one in `monitor.toml`, or our own.
        refresh: seconds between two looks; None to look often while something changes, and rarely otherwise.
        mouse: False leaves the mouse to the terminal.
    """

    home: Path
    filter_text: str = ""
    theme: str = ""
    refresh: float | None = None
    mouse: bool = True


def run(source: Source, options: Options) -> int:
    """Show the monitor in this terminal until its user leaves; returns the exit code. Closes the source.

    Raises:
        ConfigurationError: `monitor.toml` can't be read, or names something that there is not.
    """
    raise NotImplementedError
