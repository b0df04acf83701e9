"""What all pages have: the header, the banner, the line that tells what an action did, the footer; and the actions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from monitor.model import Action, Target
from monitor.tui.widgets.banner import Banner
from monitor.tui.widgets.header import TALL, JobsHeader
from monitor.tui.widgets.key_bar import KeyBar

if TYPE_CHECKING:
    from datetime import datetime

    from textual.app import ComposeResult

    from monitor.model import Detail, JobRow, LinkState, Overview
    from monitor.source import Source
    from monitor.tui.app import MonitorApp


class Saying(Static):
    """One line over the footer that tells what happened."""

    _said = ("", "")

    def say(self, words: str, style: str) -> None:
        """Say something, instead of what was said before; an empty text says nothing."""
        if (words, style) != self._said:
            self._said = (words, style)
            self.display = bool(words)
            self.update(Content.styled(words, style) if words else Content(""))


class Page(Screen[None]):
    """A page; its own part comes from `compose_body`."""

    is_composed = False
    """True once its parts are there."""

    def __init__(self) -> None:
        super().__init__()
        self._header, self._banner, self._saying = JobsHeader(), Banner(), Saying(id="saying")
        self._saying.display = False

    @property
    def monitor(self) -> MonitorApp:
        """The program."""
        return self.app  # type: ignore[return-value] # these screens live in no other

    @property
    def source(self) -> Source:
        """Where everything comes from."""
        return self.monitor.source

    def compose(self) -> ComposeResult:
        """The whole page."""
        yield self._header
        yield self._banner
        yield from self.compose_body()
        yield self._saying
        yield KeyBar()

    def compose_body(self) -> ComposeResult:
        """The page's own part."""
        yield from ()

    def on_mount(self) -> None:
        """Its parts are there from here on."""
        self.is_composed = True

    def on_resize(self) -> None:
        """A small terminal has no lines to give away."""
        self.set_class(self.size.height < TALL or self.size.width < 100, "-short")
        self.monitor.call_after_refresh(self.monitor.beat)

    def show_link(self, overview: Overview | None, link: LinkState, *, held: bool) -> None:
        """Draw the header and the banner."""
        self._header.show(overview, link, held=held)
        self._banner.show(link, self.monitor.key_of("app.reconnect"))

    def say(self, words: str, style: str = "") -> None:
        """Tell what happened."""
        self._saying.say(words, style)

    def look(self) -> None:
        """Read at once what is on this page."""

    def tick(self, now: datetime) -> None:
        """Once a second: let what tells the time tell it."""

    # what keys do to jobs; a page says which jobs they are about

    @property
    def current_job(self) -> JobRow | None:
        """The job that the keys are about; None if there is none."""
        return None

    @property
    def current_detail(self) -> Detail | None:
        """Everything about it, if it was read."""
        return None

    def target(self) -> Target | None:
        """The jobs that an action is about; None if there are none."""
        job = self.current_job
        return None if job is None else Target(job_ids=(job.job_id,))

    def acted(self) -> None:
        """An action was done to `target`."""

    def action_cancel(self) -> None:
        """Ask for jobs to stop."""
        self.monitor.act(Action.CANCEL, self.target())

    def action_force(self) -> None:
        """Stop jobs whose code does not listen."""
        self.monitor.act(Action.FORCE, self.target())

    def action_retry(self) -> None:
        """Run jobs again."""
        self.monitor.act(Action.RETRY, self.target())

    def action_delete(self) -> None:
        """Delete jobs."""
        self.monitor.act(Action.DELETE, self.target())

    def action_undo(self) -> None:
        """Take the last action back."""
        self.monitor.undo()

    def action_copy(self) -> None:
        """Offer what can be copied of the job."""
        self.monitor.offer_copy(self.current_job, self.current_detail)
