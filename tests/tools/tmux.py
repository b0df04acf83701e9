"""A real terminal for tests: tmux, with the monitor inside, its keys, its screen, and every byte it was sent."""

from __future__ import annotations

import itertools
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from pooler import need

_numbers = itertools.count(1)
PATIENCE = 20.0


class Terminal:
    """One tmux server with one window; `close` ends it and everything inside.

    Args:
        arguments: those of `python -m monitor`.
        folder: where the bytes are kept.
        size: columns and lines.
        environment: what the monitor's differs in from ours.
    """

    def __init__(
        self, arguments: list[str], folder: Path, size: tuple[int, int] = (120, 30), **environment: str
    ) -> None:
        need(shutil.which("tmux"), "tmux")
        self.socket = f"jobnb-test-{os.getpid()}-{next(_numbers)}"
        self.bytes_file = folder / f"{self.socket}.bytes"
        gate = folder / f"{self.socket}.gate"
        settings = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "TZ": "UTC", **environment}
        command = [f"{name}={shlex.quote(value)}" for name, value in settings.items()]
        command += [shlex.quote(sys.executable), "-m", "monitor", *(shlex.quote(one) for one in arguments)]
        # the bytes are recorded from the first one on
        waiting = f"while [ ! -e {shlex.quote(str(gate))} ]; do sleep 0.01; done"
        line = f"{waiting}; env -u TMUX -u COLUMNS -u LINES {' '.join(command)}; code=$?; echo; echo left with $code; exec cat"
        columns, lines = size
        new = ["new-session", "-d", "-x", str(columns), "-y", str(lines), line]
        self._tmux("-f", "/dev/null", *new, ";", "set-option", "-g", "window-size", "manual")
        self._tmux("pipe-pane", f"cat >> {shlex.quote(str(self.bytes_file))}")
        gate.touch()

    def _tmux(self, *arguments: str) -> str:
        done = subprocess.run(["tmux", "-L", self.socket, *arguments], capture_output=True, text=True, check=True)
        return done.stdout

    def press(self, *keys: str) -> None:
        """Press keys, by tmux's names."""
        self._tmux("send-keys", *keys)

    def type(self, text: str) -> None:
        """Type a text."""
        self._tmux("send-keys", "-l", text)

    def resize(self, columns: int, lines: int) -> None:
        """Make the window larger or smaller."""
        self._tmux("resize-window", "-x", str(columns), "-y", str(lines))

    def text(self) -> str:
        """What is on the screen."""
        return self._tmux("capture-pane", "-p")

    def cursor_line(self) -> str:
        """The line of the table that the cursor is on."""
        return next((line for line in self.text().splitlines() if line.startswith("▌")), "")

    def sent(self) -> bytes:
        """Every byte that the terminal was sent."""
        return self.bytes_file.read_bytes() if self.bytes_file.exists() else b""

    def sees(self, text: str, *, seconds: float = PATIENCE) -> float:
        """Wait until a text is on the screen; returns how long that took."""
        return self.until(lambda: text in self.text(), f"{text!r}", seconds)

    def sees_no(self, text: str, *, seconds: float = PATIENCE) -> float:
        """Wait until a text is no longer on the screen; returns how long that took."""
        return self.until(lambda: text not in self.text(), f"no {text!r}", seconds)

    def until(self, condition: Callable[[], object], what: str, seconds: float = PATIENCE) -> float:
        """Wait until it is so; returns how long that took."""
        begin = time.monotonic()
        while not condition():
            assert time.monotonic() - begin < seconds, f"{what} never came; the screen:\n{self.text()}"
            time.sleep(0.02)
        return time.monotonic() - begin

    def close(self) -> None:
        """End it."""
        subprocess.run(["tmux", "-L", self.socket, "kill-server"], capture_output=True, check=False)
