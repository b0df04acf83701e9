"""How a text gets out of the terminal: to the clipboard by OSC 52, also over SSH, and always to a file as well.

A program can't know whether its terminal obeys OSC 52; macOS's does not, and tmux only passes it on when told to. So
tmux is asked by its own command, and what was copied is in a file whatever happens.
"""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

LIMIT = 74_000
"""Bytes that terminals take at most: 100,000 characters of base64."""
FILE = "copied.txt"


class Copied(NamedTuple):
    """What became of a text that was copied.

    Attributes:
        path: the file that has it; None if it could not be written.
        fits: True if it is short enough for a terminal's clipboard.
        problem: why there is no file; empty if there is one.
    """

    path: Path | None
    fits: bool
    problem: str = ""


def keep(text: str, home: Path) -> Copied:
    """Write a text to the file for copied texts, readable for its owner only, and give it to tmux if that is around."""
    fits = len(text.encode("utf-8", "replace")) <= LIMIT
    if fits and os.environ.get("TMUX"):
        _give_to_tmux(text)
    path = home / FILE
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        return Copied(None, fits, str(error))
    return Copied(path, fits)


def _give_to_tmux(text: str) -> None:
    command = ["tmux", "load-buffer", "-w", "-"]
    try:
        subprocess.run(command, input=text.encode("utf-8", "replace"), capture_output=True, timeout=2, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return  # no tmux to be found from here: the terminal and the file are left
