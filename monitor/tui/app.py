"""The terminal program: what all pages share, and what happens between a key and its outcome."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events, on, work
from textual.app import App, SystemCommand

from jobnb.errors import InvalidInput, JobnbError
from monitor import filters
from monitor.model import Action, LinkStatus, Outcome, Target
from monitor.tui import clipboard, themes
from monitor.tui.commands import MonitorCommands
from monitor.tui.feed import Feed
from monitor.tui.keymap import APP, GROUPS, Preferences, bindings, key_words, load_preferences
from monitor.tui.messages import OverviewRead, ReadFailed, ThreadBroke
from monitor.tui.screens.confirm import ConfirmScreen
from monitor.tui.screens.copy import CopyScreen, Offer
from monitor.tui.screens.errors import ErrorsScreen
from monitor.tui.screens.help import HelpScreen
from monitor.tui.screens.jobs import JobsScreen
from monitor.tui.screens.kernels import KernelsScreen
from monitor.tui.screens.page import Page
from monitor.tui.screens.types import TypesScreen
from monitor.tui.text import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from textual.binding import BindingType
    from textual.screen import Screen

    from monitor.model import Detail, JobRow, LinkState, Overview
    from monitor.source import Source

BUSY, IDLE, AWAY = 0.1, 0.5, 5.0
"""Seconds between two looks: while something changes, while nothing does, while the terminal is not looked at."""
BEAT = 0.25
"""Seconds between two looks at the link."""
SAID = 10.0
"""Seconds that what was said stays, and that an action can be undone."""
ASLEEP = 300.0
"""Seconds without a key after which a database that sleeps when unused is left to sleep."""


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
    try:
        app.run(mouse=options.mouse)
    finally:
        source.close()
    if app.parting_words:
        print(app.parting_words)  # noqa: T201 # to the terminal that is a shell again
    return app.return_code or 0


class MonitorApp(App[None]):
    """See the module."""

    TITLE = "jobnb monitor"
    CSS_PATH = "monitor.tcss"
    ENABLE_COMMAND_PALETTE = True
    COMMAND_PALETTE_BINDING = "ctrl+p"
    COMMANDS: ClassVar[set[Any]] = {MonitorCommands}
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(APP)]
    MODES: ClassVar[dict[str, str | Callable[[], Screen[Any]]]] = {
        "jobs": JobsScreen, "errors": ErrorsScreen, "types": TypesScreen, "kernels": KernelsScreen,
    }  # fmt: skip
    DEFAULT_MODE = "jobs"

    def __init__(self, source: Source, options: Options, preferences: Preferences | None = None) -> None:
        super().__init__()
        self.source = source
        self.options = options
        self.preferences = preferences or Preferences()
        self.overview: Overview | None = None
        self.held = False
        self.parting_words = ""
        self.slowness = 1.0
        self._blurred = False
        self._remote = bool(os.environ.get("SSH_CONNECTION"))
        self._last_input = self._last_tick = time.monotonic()
        self._said_until = 0.0
        self._undoable: Outcome | None = None
        self._complaint = ""
        self._overviews: Feed[str] = Feed("overview", self._read_overview, self.post_message, self._overview_pause)

    def get_css_variables(self) -> dict[str, str]:
        """The theme's colours, with one for each state of a job."""
        found = super().get_css_variables()
        colours = {
            "scheduled": found["foreground-muted"], "in_progress": found["text-primary"],
            "done": found["text-success"], "failed": found["text-error"], "timeout": found["text-error"],
            "cancelled": found["text-warning"], "lost": found["text-secondary"],
        }  # fmt: skip
        return {**found, **{f"job-{state}": colour for state, colour in colours.items()}}

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
            self.pop_screen()
        self.switch_mode(name)

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
            self.push_screen(HelpScreen(self.preferences.keys, str(self.options.home / "monitor.toml")))

    def key_of(self, name: str) -> str:
        """The key for something, as help writes it."""
        default = next((key.keys for _, keys in GROUPS for key in keys if key.name == name), "")
        return key_words(self.preferences.keys.get(name, default).split(",")[0])

    # time

    def pace(self, *, busy: bool) -> float | None:
        """Seconds between two looks now; None to look only when asked to. Called from the feeds' threads."""
        if self.held or self._is_asleep():
            return None
        if self.options.refresh is not None:
            return self.options.refresh * self.slowness
        if self._blurred:
            return AWAY
        latency = self.source.link().latency or 0.0
        return (BUSY if busy else IDLE) * self.slowness * (2 if self._remote or latency > 0.05 else 1)

    def _overview_pause(self) -> float | None:
        pace = self.pace(busy=False)
        return None if pace is None else max(1.0, pace)

    def _is_asleep(self) -> bool:
        return self.source.link().server.sleeps and time.monotonic() - self._last_input > ASLEEP

    async def on_event(self, event: events.Event) -> None:
        """Notice that somebody is there."""
        if isinstance(event, (events.Key, events.MouseDown, events.MouseScrollDown, events.MouseScrollUp)):
            slept = self._is_asleep()
            self._last_input = time.monotonic()
            if slept:
                self._look_again()
        await super().on_event(event)

    def on_app_blur(self) -> None:
        """Nobody looks."""
        self._blurred = True

    def on_app_focus(self) -> None:
        """Somebody looks again."""
        self._blurred = False
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
        if now > self._said_until and self._said_until:
            self.say("")
        link = self.source.link()
        page.show_link(self.overview, link, held=self.held)
        if link.status is LinkStatus.UP and self._is_asleep():
            self.say("paused, to let the database sleep · any key goes on", "$warning")
        if now - self._last_tick >= 1.0 - BEAT / 2:
            self._last_tick = now
            page.tick(self.source.now())

    def action_pause(self) -> None:
        """Hold the screen still, or go on."""
        self.held = not self.held
        self.beat()
        if not self.held:
            self._look_again()

    def action_rate(self, by: int) -> None:
        """Look more often, or less."""
        self.slowness = min(64.0, max(0.25, self.slowness * 2.0**by))
        times = f"{self.slowness:.0f} times less often" if self.slowness > 1 else f"{1 / self.slowness:.0f} times as often"
        self.say("looking as often as usual" if self.slowness == 1 else f"looking {times}")
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
        self._said_until = time.monotonic() + seconds if words else 0.0
        if self.page is not None and self.page.is_composed:
            self.page.say(words, style)

    def say_error(self, error: JobnbError) -> None:
        """Say what went wrong."""
        self.say(plain(str(error), 400), "$error")

    # actions

    def target_of(self, filter_text: str) -> Target | None:
        """All jobs that a filter describes."""
        try:
            return Target(filter=filters.parse(filter_text))
        except InvalidInput as error:
            self.say_error(error)
            return None

    def act(self, action: Action, target: Target | None) -> None:
        """Ask whether an action shall be done, and do it."""
        link = self.source.link()
        if target is None:
            self.say("there is no job here")
        elif link.status in (LinkStatus.DOWN, LinkStatus.REFUSED, LinkStatus.CONNECTING):
            self.say(f"can't {action.value} while there is no database: nothing is queued in secret", "$error")
        elif not link.access.allows(action):
            self.say(f"can't {action.value} here: {plain(link.access.reason, 200)}", "$warning")
        else:
            self.push_screen(ConfirmScreen(self.source, action, target), self._acted)

    def _acted(self, outcome: Outcome | JobnbError | None) -> None:
        if outcome is None:
            return
        if isinstance(outcome, JobnbError):
            self.say_error(outcome)
            return
        if self.page is not None:
            self.page.acted()
        self._tell(outcome)

    def _tell(self, outcome: Outcome, undone: str = "") -> None:
        self._undoable = outcome if outcome.undo_token is not None else None
        hint = f"  ·  {self.key_of('job.undo')} undoes it" if self._undoable is not None else ""
        style = "$error" if outcome.error else "$warning" if outcome.stopped or not outcome.changed else "$success"
        self.say(undone + plain(outcome.words, 300) + hint, style)
        self._look_again()

    def undo(self) -> None:
        """Take the last action back."""
        if self._undoable is None:
            self.say("there is nothing to undo")
        else:
            self._undo(self._undoable)

    @work(thread=True, exclusive=True, group="undo", exit_on_error=False)
    def _undo(self, outcome: Outcome) -> None:
        try:
            undone = self.source.undo(outcome)
        except JobnbError as error:
            self.call_from_thread(self.say_error, error)
            return
        self.call_from_thread(self._tell, undone, "undone: ")

    # copying

    def offer_copy(self, row: JobRow | None, detail: Detail | None) -> None:
        """Offer what can be copied of a job."""
        if row is None:
            self.say("there is no job here")
        elif detail is None:
            self._read_for_copy(row)
        else:
            self.push_screen(CopyScreen(row, detail), self._chosen)

    @work(thread=True, exclusive=True, group="copy", exit_on_error=False)
    def _read_for_copy(self, row: JobRow) -> None:
        try:
            detail = self.source.detail(row.job_id)
        except JobnbError:  # id and Python can be copied all the same
            detail = None
        self.call_from_thread(self.push_screen, CopyScreen(row, detail), self._chosen)

    def _chosen(self, offer: Offer | None) -> None:
        if offer is not None:
            self.copy_text(offer.text, offer.name)

    def copy_text(self, text: str, name: str) -> None:
        """Copy a text: to the clipboard, and to a file."""
        copied = clipboard.keep(text, self.options.home)
        if copied.fits:
            self.copy_to_clipboard(text)
        size = f"{len(text):,} characters" if len(text) > 60 else plain(text, 60)
        where = f"also in {copied.path}" if copied.path is not None else f"no file: {copied.problem}"
        if not copied.fits:
            where = f"too long for a terminal's clipboard; it is in {copied.path}" if copied.path else where
        self.parting_words = f"last copied: {copied.path}" if copied.path is not None else ""
        self.say(f"copied {name}: {size}  ·  {plain(where, 200)}", "$success")

    # the palette

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Of Textual's own commands those that make sense here."""
        del screen
        yield SystemCommand("Theme", "choose other colours", self.action_change_theme)
        yield SystemCommand("Screenshot", "save the screen as an SVG picture", self.deliver_screenshot)

    def notify(self, message: str, **options: Any) -> None:
        """Show Textual's own notices, never as markup."""
        super().notify(message, **{**options, "markup": False})
