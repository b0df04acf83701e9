"""From a key to a plan, a question, an outcome, and back; and what is copied."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import work
from textual.app import App

from jobnb.errors import JobnbError
from monitor.model import LinkStatus
from monitor.tui import clipboard
from monitor.tui.screens.confirm import ConfirmScreen
from monitor.tui.screens.copy import CopyScreen
from monitor.tui.text import plain

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.model import Action, Detail, JobRow, Outcome, Target
    from monitor.source import Source
    from monitor.tui.screens.copy import Offer

_AWAY = (LinkStatus.DOWN, LinkStatus.REFUSED, LinkStatus.CONNECTING)


class Acting(App[None]):
    """The part of the program that changes jobs, and copies what is known of them."""

    def __init__(self, source: Source, home: Path) -> None:
        super().__init__()
        self.source = source
        self.home = home
        self.parting_words = ""
        self._undoable: Outcome | None = None

    # what the rest of the program does

    def say(self, words: str, style: str = "") -> None:
        """Say something over the footer, for some seconds."""
        raise NotImplementedError

    def key_of(self, name: str) -> str:
        """The key for something, as help writes it."""
        raise NotImplementedError

    def acted(self) -> None:
        """Something was done to jobs."""
        raise NotImplementedError

    def say_error(self, error: JobnbError) -> None:
        """Say what went wrong."""
        self.say(plain(str(error), 400), "$error")

    # actions

    def act(self, action: Action, target: Target | None) -> None:
        """Ask whether an action shall be done, and do it."""
        link = self.source.link()
        if target is None:
            self.say("there is no job here")
        elif link.status in _AWAY:
            self.say(f"can't {action.value} while there is no database; try again when it is back", "$error")
        elif not link.access.allows(action):
            self.say(f"can't {action.value} here: {plain(link.access.reason, 200)}", "$warning")
        else:
            _ = self.push_screen(ConfirmScreen(self.source, action, target), self._acted)

    def _acted(self, outcome: Outcome | JobnbError | None) -> None:
        if isinstance(outcome, JobnbError):
            self.say_error(outcome)
        elif outcome is not None:
            self._tell(outcome)
            self.acted()

    def _tell(self, outcome: Outcome, before: str = "") -> None:
        self._undoable = outcome if outcome.undo_token is not None else None
        hint = f"  ·  {self.key_of('job.undo')} undoes it" if self._undoable is not None else ""
        style = "$error" if outcome.error else "$warning" if outcome.stopped or not outcome.changed else "$success"
        self.say(before + plain(outcome.words, 300) + hint, style)

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
        self.call_from_thread(self._undone, undone)

    def _undone(self, outcome: Outcome) -> None:
        self._tell(outcome, "undone: ")
        self.acted()

    # copying

    def offer_copy(self, row: JobRow | None, detail: Detail | None) -> None:
        """Offer what can be copied of a job."""
        if row is None:
            self.say("there is no job here")
        elif detail is None:
            self._read_for_copy(row)
        else:
            _ = self.push_screen(CopyScreen(row, detail), self._chosen)

    @work(thread=True, exclusive=True, group="copy", exit_on_error=False)
    def _read_for_copy(self, row: JobRow) -> None:
        try:
            detail = self.source.detail(row.job_id)
        except JobnbError:  # what the list says can be copied all the same
            detail = None
        self.call_from_thread(self.push_screen, CopyScreen(row, detail), self._chosen)

    def _chosen(self, offer: Offer | None) -> None:
        if offer is not None:
            self.copy_text(offer.text, offer.name)

    def copy_text(self, text: str, name: str) -> None:
        """Copy a text: to the clipboard, and to a file."""
        copied = clipboard.keep(text, self.home)
        if copied.fits:
            self.copy_to_clipboard(text)
        size = f"{len(text):,} characters" if len(text) > 60 else plain(text, 60)
        where = f"also in {copied.path}" if copied.path is not None else f"no file: {copied.problem}"
        if not copied.fits:
            where = f"too long for a terminal's clipboard; {where}"
        self.parting_words = f"last copied: {copied.path}" if copied.path is not None else ""
        self.say(f"copied {name}: {size}  ·  {plain(where, 200)}", "$success")
