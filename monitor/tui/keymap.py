"""Every key of the monitor: what it does, what help says about it, and how a file changes it.

The file is `monitor.toml` in `JOBNB_HOME`:

    theme = "nord"

    [keys]
    "job.cancel" = "X"
    "table.down" = "j,down,ctrl+n"
"""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from textual.binding import Binding

from jobnb.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Key(NamedTuple):
    """One thing that keys do.

    Attributes:
        name: what a keymap file calls it: the place, a dot, the deed.
        keys: the keys, with commas between, as Textual names them.
        action: the Textual action.
        short: two words for the footer; empty for a key that the footer leaves out.
        words: what help and the palette say.
        changes: True if it changes jobs, so that a read-only monitor refuses it.
    """

    name: str
    keys: str
    action: str
    short: str
    words: str
    changes: bool = False


TABLE = (
    Key("table.up", "up,k", "move(-1)", "", "one row up"),
    Key("table.down", "down,j", "move(1)", "", "one row down"),
    Key("table.page_up", "pageup,ctrl+b", "move_page(-1)", "", "one page up"),
    Key("table.page_down", "pagedown,ctrl+f", "move_page(1)", "", "one page down"),
    Key("table.top", "home,g", "top", "", "to the newest, and follow"),
    Key("table.bottom", "end,G", "bottom", "", "to the oldest"),
    Key("table.open", "enter", "open", "open", "open"),
)

JOBS = (
    Key("view.filter", "slash", "filter", "filter", "filter as you type: Tab completes, Enter keeps, Esc goes back"),
    Key("view.sort", "s", "sort", "", "sort by the next column"),
    Key("view.reverse", "S", "reverse", "", "turn the order round"),
    Key("view.follow", "f", "follow", "follow", "show new jobs as they come, or hold still"),
    Key("view.next_failure", "n", "next_failure(1)", "next failure", "to the next failed job"),
    Key("view.previous_failure", "N", "next_failure(-1)", "", "to the failed job before"),
    Key("view.all", "0", "state('')", "", "all jobs"),
    Key("view.running", "1", "state('running')", "", "running jobs only"),
    Key("view.queued", "2", "state('queued')", "", "queued jobs only"),
    Key("view.failed", "3", "state('failed,timeout,lost')", "", "failed, timed out and lost jobs only"),
    Key("view.done", "4", "state('done')", "", "done jobs only"),
    Key("view.cancelled", "5", "state('cancelled')", "", "cancelled jobs only"),
    Key("mark.one", "space", "mark", "mark", "mark the row, and go on"),
    Key("mark.range", "v", "mark_range", "", "mark from the last mark to here"),
    Key("mark.all", "asterisk", "mark_all", "", "act on everything that the filter lets through"),
    Key("mark.none", "escape", "leave", "", "leave: the filter bar, the marks, the filter"),
)

JOB = (
    Key("job.cancel", "c", "cancel", "cancel", "ask to stop: the row, or the marked ones", changes=True),
    Key(
        "job.force",
        "C",
        "force",
        "",
        "stop by force: raise an error in code that does not listen",
        changes=True,
    ),
    Key("job.retry", "r", "retry", "retry", "run again, as a new job", changes=True),
    Key("job.delete", "D,delete", "delete", "", "delete finished jobs with their logs and values", changes=True),
    Key("job.undo", "u", "undo", "", "undo the last action, while that is possible", changes=True),
    Key("job.copy", "y", "copy", "copy", "copy: as Python, id, SQL, traceback, result"),
    Key("job.log", "l", "show('log')", "", "the log"),
    Key("job.traceback", "t", "show('traceback')", "", "the traceback"),
    Key("job.result", "o", "show('result')", "", "the result"),
    Key("job.source", "i", "show('source')", "", "the source, with notebook and cell"),
    Key("job.next_tab", "tab", "next_tab(1)", "", "the next tab of the details"),
    Key("job.previous_tab", "shift+tab", "next_tab(-1)", "", "the tab before"),
)

APP = (
    Key("go.jobs", "J", "go('jobs')", "", "jobs"),
    Key("go.errors", "x", "go('errors')", "errors", "errors, grouped by what went wrong"),
    Key("go.types", "T", "go('types')", "types", "types of jobs, with their times"),
    Key("go.kernels", "w", "go('kernels')", "kernels", "kernels, the processes that run jobs"),
    Key("app.pause", "p", "pause", "", "hold the screen still"),
    Key("app.reconnect", "R", "reconnect", "", "try the database again now"),
    Key("app.faster", "plus", "rate(-1)", "", "look more often"),
    Key("app.slower", "minus", "rate(1)", "", "look less often"),
    Key("app.help", "question_mark,f1", "help", "help", "all keys"),
    Key("app.palette", "ctrl+p,colon", "command_palette", "palette", "every command, by name"),
    Key("app.quit", "q", "quit", "quit", "leave"),
)

GROUPS = (("Move", TABLE), ("Choose", JOBS), ("A job", JOB), ("Everywhere", APP))
NAMES = tuple(key.name for _, keys in GROUPS for key in keys)


_NAMES = {
    "question_mark": "?", "slash": "/", "asterisk": "*", "plus": "+", "minus": "-", "colon": ":", "pageup": "PgUp",
    "pagedown": "PgDn", "escape": "Esc", "enter": "Enter", "delete": "Del", "home": "Home", "end": "End", "up": "↑",
    "down": "↓", "left": "←", "right": "→", "tab": "Tab", "space": "Space",
}  # fmt: skip


def key_words(keys: str) -> str:
    """Keys as a person would write them: `↑ k`."""
    return " ".join(_key(key) for key in keys.split(","))


def _key(key: str) -> str:
    if key.startswith("ctrl+"):
        return f"^{_key(key[5:])}"
    if key.startswith("shift+"):
        return f"Shift-{_key(key[6:])}"
    return _NAMES.get(key, key)


def bindings(keys: tuple[Key, ...], *, footer: bool = True) -> list[Binding]:
    """The keys as Textual wants them."""
    return [
        Binding(key.keys, key.action, key.short or key.words, show=footer and bool(key.short), id=key.name)
        for key in keys
    ]


@dataclass(frozen=True)
class Preferences:
    """What `monitor.toml` says.

    Attributes:
        theme: a theme's name, or empty.
        keys: the keys of the names that it changes.
    """

    theme: str = ""
    keys: Mapping[str, str] = field(default_factory=dict)


def load_preferences(path: Path) -> Preferences:
    """Read the file, if it is there.

    Raises:
        ConfigurationError: it can't be read, is no TOML, or names something that there is not.
    """
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Preferences()
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} can't be read: {error}; correct it or move it away") from error
    keys = told.get("keys", {})
    if not isinstance(keys, dict):
        raise ConfigurationError(
            f'{path}: keys is {keys!r:.80}: write a table, [keys], with lines like "job.cancel" = "X"'
        )
    for name, value in keys.items():
        _check(path, name, value)
    return Preferences(theme=str(told.get("theme", "")), keys=keys)


def _check(path: Path, name: str, value: object) -> None:
    if name not in NAMES:
        near = difflib.get_close_matches(name, NAMES, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(NAMES)}"
        raise ConfigurationError(f"{path}: there is no key named {name!r}; {hint}")
    if not isinstance(value, str) or not value.strip():
        raise ConfigurationError(f"{path}: {name} is {value!r:.80}: give keys as a text, such as 'c' or 'f5,ctrl+r'")
