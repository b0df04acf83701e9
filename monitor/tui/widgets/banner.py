"""A line or two that appear while something is wrong with the database; they take no focus and no keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content
from textual.widget import Widget

from jobnb.display.words import duration
from monitor.model import LinkStatus
from monitor.tui.text import join, plain

if TYPE_CHECKING:
    from monitor.model import LinkState


SOON = 2.0
"""Seconds of waiting that are not counted down: nobody can read them."""


class Banner(Widget):
    """Shown only while there is something to say."""

    ALLOW_SELECT = False

    def __init__(self) -> None:
        super().__init__()
        self.display = False
        self._text = ""

    def show(self, link: LinkState, reconnect_key: str = "R") -> None:
        """Say what is wrong with the link; nothing if nothing is."""
        text = words(link, reconnect_key)
        self.display = bool(text)
        self.set_class(link.status is LinkStatus.SLOW or link.status is LinkStatus.CONNECTING, "-mild")
        if text != self._text:
            self._text = text
            self.refresh(layout=True)

    def render(self) -> Content:
        """What is wrong."""
        return Content(self._text)


def words(link: LinkState, reconnect_key: str = "R") -> str:
    """What there is to say about a link; empty if it is well."""
    if link.status is LinkStatus.UP:
        return ""
    if link.status is LinkStatus.CONNECTING:
        return join((f"connecting to {plain(link.server.where, 60)} …", plain(link.message)))
    if link.status is LinkStatus.SLOW:
        return join(("the database is slow to answer; what you see may be old", plain(link.message)))
    soon = link.retry_in is None or link.retry_in < SOON
    again = "trying again" if soon else f"next try in {duration(link.retry_in)}"
    head = "this can't work" if link.status is LinkStatus.REFUSED else "no database"
    return join((f"{head}: {plain(link.message)}", again, f"{reconnect_key} tries now"))
