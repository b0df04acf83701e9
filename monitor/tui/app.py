"""The terminal program: its pages and what they share."""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events, on
from textual.app import SystemCommand

from jobnb.errors import InvalidInput
from monitor import filters
from monitor.model import LinkStatus, Target
from monitor.tui import themes
from monitor.tui.acting import Acting
from monitor.tui.commands import MonitorCommands
from monitor.tui.feed import Feed
from monitor.tui.keymap import APP, GROUPS, Preferences, bindings, key_words, load_preferences
from monitor.tui.messages import OverviewRead, ReadFailed, ThreadBroke
from monitor.tui.pace import Pace
from monitor.tui.screens.errors import ErrorsScreen
from monitor.tui.screens.help import HelpScreen
from monitor.tui.screens.jobs import JobsScreen
from monitor.tui.screens.kernels import KernelsScreen
from monitor.tui.screens.page import Page
from monitor.tui.screens.types import TypesScreen
from monitor.tui.text import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from textual.binding import BindingType
    from textual.screen import Screen

    from monitor.model import Overview
    from monitor.source import Source

BEAT = 0.25
"""Seconds between two looks at the link."""
SAID = 10.0
"""Seconds that what was said stays, and that an action can be undone."""


_SIGNS_OF_LIFE = (events.Key, events.MouseDown, events.MouseScrollDown, events.MouseScrollUp)


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
    app = MonitorApp(source, options, load_preferences(options.home / "monitor.toml"))
    # a warning on standard error would be drawn over the screen, which is on it too
    logging.getLogger("jobnb").addHandler(logging.NullHandler())
    if not os.environ.get("TEXTUAL_DRIVER"):  # a browser tells its size this way
        for name in ("COLUMNS", "LINES"):  # exported by a shell, they would be believed when the window has changed
            os.environ.pop(name, None)
    try:
        app.run(mouse=options.mouse)
    finally:
        source.close()
    if app.parting_words:
        print(app.parting_words)  # noqa: T201 # to the terminal that is a shell again
    return app.return_code or 0


class MonitorApp(Acting):
    """See the module."""

    TITLE = "jobnb monitor"
    CSS_PATH = Path(__file__).parent / "monitor.tcss"
    ENABLE_COMMAND_PALETTE = True
    COMMAND_PALETTE_BINDING = "ctrl+p"
    COMMANDS: ClassVar[set[Any]] = {MonitorCommands}
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(APP)]
    MODES: ClassVar[dict[str, str | Callable[[], Screen[Any]]]] = {
        "jobs": JobsScreen, "errors": ErrorsScreen, "types": TypesScreen, "kernels": KernelsScreen,
    }  # fmt: skip
    DEFAULT_MODE = "jobs"

    def __init__(self, source: Source, options: Options, preferences: Preferences | None = None) -> None:
        super().__init__(source, options.home)
        self.options = options
        self.preferences = preferences or Preferences()
        self.pace = Pace(source, options.refresh)
        self.overview: Overview | None = None
        self._last_tick = time.monotonic()
        self._said, self._said_until = ("", ""), 0.0
        self._complaint = ""
        self._overviews: Feed[str] = Feed("overview", self._read_overview, self.post_message, self._overview_pause)

    def get_css_variables(self) -> dict[str, str]:
        """The theme's colours, with one for each state of a job."""
        return themes.with_states(super().get_css_variables())

    def on_mount(self) -> None:
        """Dress, and begin to read."""
        for theme in themes.THEMES:
            self.register_theme(theme)
        self.theme = self._theme()
        self.set_keymap(dict(self.preferences.keys))
        self._overviews.start()
        self._overviews.want("overview")
        self.set_interval(BEAT, self.beat)

    def on_unmount(self) -> None:
        """Read no more."""
        self._overviews.stop()

    def _theme(self) -> str:
        wanted = self.options.theme or self.preferences.theme or themes.DEFAULT
        if wanted in self.available_themes:
            return wanted
        self.say(f"there is no theme {plain(wanted, 40)!r}; ^p lists them", "$warning", seconds=30)
        return themes.DEFAULT

    # pages

    @property
    def page(self) -> Page | None:
        """The page that is seen, also if a dialog is over it."""
        return next((screen for screen in reversed(self.screen_stack) if isinstance(screen, Page)), None)

    def action_go(self, name: str) -> None:
        """Go to a page."""
        while len(self.screen_stack) > 1:
            _ = self.pop_screen()
        _ = self.switch_mode(name)

    async def show_jobs_of(self, text: str) -> None:
        """Go to the jobs that a filter describes."""
        self.action_go("jobs")
        page = self.page
        if isinstance(page, JobsScreen):
            page.filter_by(text)

    def show_jobs(self, text: str) -> None:
        """Go to the jobs that a filter describes."""
        self.action_go("jobs")
        self.call_next(self.show_jobs_of, text)

    async def run_in_page(self, action: str) -> None:
        """Do what a key would do on the page."""
        page = self.page
        focused = page.focused if page is not None else None
        await self.run_action(action, focused or page or self)

    def action_help(self) -> None:
        """Show all keys."""
        if not isinstance(self.screen, HelpScreen):
            _ = self.push_screen(HelpScreen(self.preferences.keys, str(self.options.home / "monitor.toml")))

    def key_of(self, name: str) -> str:
        """The key for something, as help writes it."""
        default = next((key.keys for _, keys in GROUPS for key in keys if key.name == name), "")
        return key_words(self.preferences.keys.get(name, default).split(",")[0])

    # time

    def _overview_pause(self) -> float | None:
        pace = self.pace.seconds(busy=False)
        return None if pace is None else max(1.0, pace)

    async def on_event(self, event: events.Event) -> None:
        """Notice that somebody is there."""
        if isinstance(event, _SIGNS_OF_LIFE) and self.pace.touched():
            self._look_again()
        await super().on_event(event)

    def on_app_blur(self) -> None:
        """Nobody looks."""
        self.pace.blurred = True

    def on_app_focus(self) -> None:
        """Somebody looks again."""
        self.pace.blurred = False
        self._look_again()

    def _look_again(self) -> None:
        self._overviews.look()
        if isinstance(self.page, Page):
            self.page.look()

    def beat(self) -> None:
        """Show how old the data is; once a second, let everything that tells the time tell it."""
        page = self.page
        if page is None or not page.is_composed:
            return
        now = time.monotonic()
        self._show_said()
        link = self.source.link()
        page.show_link(self.overview, link, held=self.pace.held)
        if link.status is LinkStatus.UP and self.pace.is_asleep:
            self.say("paused, to let the database sleep · any key goes on", "$warning")
        if now - self._last_tick >= 1.0 - BEAT / 2:
            self._last_tick = now
            page.tick(self.source.now())

    def action_pause(self) -> None:
        """Hold the screen still, or go on."""
        self.pace.held = not self.pace.held
        self.beat()
        if not self.pace.held:
            self._look_again()

    def action_rate(self, by: int) -> None:
        """Look more often, or less."""
        self.say(self.pace.change(by))
        self._look_again()

    def action_reconnect(self) -> None:
        """Try the database again now."""
        self.source.reconnect()
        self.say("trying the database …")
        self._look_again()

    # reading

    def _read_overview(self, _wish: str) -> OverviewRead:
        return OverviewRead(self.source.overview())

    @on(OverviewRead)
    def _overview_read(self, event: OverviewRead) -> None:
        self.overview = event.overview
        self.read_well()
        self.beat()

    @on(ReadFailed)
    def _read_failed(self, event: ReadFailed) -> None:
        link = self.source.link()
        if link.status is LinkStatus.UP and str(event.error) != self._complaint:
            self._complaint = str(event.error)  # the same every tick would be said every tick
            self.say_error(event.error)
        self.beat()

    def read_well(self) -> None:
        """Something could be read: whatever was complained about is over."""
        self._complaint = ""

    @on(ThreadBroke)
    def _thread_broke(self, event: ThreadBroke) -> None:
        raise event.error

    # words

    def say(self, words: str, style: str = "", seconds: float = SAID) -> None:
        """Say something over the footer, for some seconds."""
        self._said, self._said_until = (words, style), time.monotonic() + seconds
        self._show_said()

    def _show_said(self) -> None:
        """On the page that is seen, also if it came up after it was said."""
        if time.monotonic() > self._said_until:
            self._said = ("", "")
        if self.page is not None and self.page.is_composed:
            self.page.say(*self._said)

    def acted(self) -> None:
        """Something was done to jobs: show it at once."""
        if self.page is not None:
            self.page.acted()
        self._look_again()

    def target_of(self, filter_text: str) -> Target | None:
        """All jobs that a filter describes."""
        try:
            return Target(filter=filters.parse(filter_text))
        except InvalidInput as error:
            self.say_error(error)
            return None

    # the palette

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Of Textual's own commands those that make sense here."""
        del screen
        yield SystemCommand("Theme", "choose other colours", self.action_change_theme)
        yield SystemCommand("Screenshot", "save the screen as an SVG picture", self.deliver_screenshot)

    def notify(self, message: str, **options: Any) -> None:
        """Show Textual's own notices, never as markup."""
        super().notify(message, **{**options, "markup": False})
