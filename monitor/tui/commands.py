"""The command palette: every key's deed by its name, and the lists of jobs that one goes to most."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from textual.command import DiscoveryHit, Hit, Provider
from textual.content import Content

from monitor.tui.keymap import GROUPS, TABLE
from monitor.tui.text import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from textual.command import Hits

VIEWS = {
    "Jobs that run": "state:running",
    "Jobs that wait": "state:queued",
    "Jobs that failed": "state:failed",
    "Failures of the last hour": "state:failures finished:<1h",
    "Jobs that are lost": "state:lost",
    "Jobs that were asked to stop": "is:stopping",
    "Jobs that run for over ten minutes": "state:running took:>10m",
    "Jobs of the last hour": "since:1h",
    "All jobs": "",
}


class Command(NamedTuple):
    """One line of the palette."""

    name: str
    help: str
    run: Callable[[], Any]


class MonitorCommands(Provider):
    """Finds commands by what is typed."""

    def _commands(self) -> Iterator[Command]:
        app: Any = self.app
        for text, wanted in VIEWS.items():
            yield Command(text, wanted or "no filter", partial(app.show_jobs, wanted))
        for _, keys in GROUPS:
            if keys is TABLE:
                continue
            for key in keys:
                if key.name not in ("app.palette", "mark.none"):
                    name = key.words[0].upper() + key.words[1:]
                    yield Command(name, f"key {app.key_of(key.name)}", partial(app.run_in_page, key.action))

    async def discover(self) -> Hits:
        """What is there before anything is typed."""
        for command in self._commands():
            yield DiscoveryHit(command.name, command.run, help=command.help)

    async def search(self, query: str) -> Hits:
        """What fits what was typed; digits of an id go to that job."""
        matcher = self.matcher(query)
        for command in self._commands():
            if (score := matcher.match(command.name)) > 0:
                yield Hit(score, matcher.highlight(command.name), command.run, help=command.help)
        word = query.strip()
        if word:
            app: Any = self.app
            name = Content(f"Filter jobs by {plain(word, 60)}")
            yield Hit(0.01, name, partial(app.show_jobs, word), text=name.plain, help="as in the filter bar")
