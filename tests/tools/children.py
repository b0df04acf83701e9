"""Python processes that a test starts, talks to line by line, and kills."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import jobnb

CHECKOUT = Path(jobnb.__file__).parents[1]


class Child:
    """A process that runs a script, in a folder of its own.

    Args:
        folder: where it works, and where its standard error goes.
        script: Python.
        variables: of its environment, beside those of this process.
    """

    def __init__(self, folder: Path, script: str, **variables: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "child.py"
        path.write_text(script)
        self.folder, self.errors = folder, folder / "stderr"
        inherited = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, str(path)],
                cwd=folder,
                env={**inherited, "PYTHONPATH": str(CHECKOUT), **variables},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def line(self) -> str:
        """The next line that it prints."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline().strip()
        assert line, self.errors.read_text()
        return line

    def tell(self, line: str = "") -> None:
        """Give it a line to read."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """Kill it with -9, and wait until it is gone."""
        self.process.kill()
        self.process.wait(20)

    def end(self, seconds: float = 60.0, code: int = 0) -> None:
        """Wait until it has ended by itself."""
        self.process.communicate(timeout=seconds)
        assert self.process.returncode == code, self.errors.read_text()

    def clean_up(self) -> None:
        """End it in any case."""
        self.process.kill()
        self.process.communicate()
