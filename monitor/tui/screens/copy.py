"""What can be copied of a job, one letter each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from monitor.tui.screens.dialog import Dialog
from monitor.tui.text import fit, plain

if TYPE_CHECKING:
    from textual import events
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from monitor.model import Detail, JobRow


class Offer(NamedTuple):
    """One thing to copy.

    Attributes:
        letter: the key for it.
        name: what it is.
        text: what is copied, exactly as it is stored.
    """

    letter: str
    name: str
    text: str


def offers(row: JobRow, detail: Detail | None) -> list[Offer]:
    """What there is to copy of a job."""
    short = row.job_id
    found = [
        Offer("p", "Python, for the notebook", f'jobnb.get("{short}")'),
        Offer("v", "Python, its value", f'jobnb.get("{short}").result()'),
        Offer("i", "id", str(row.job_id)),
        Offer("s", "SQL", f"SELECT * FROM jobs WHERE job_id = '{row.job_id}';"),
        Offer("c", "shell", f"jobnb show {row.job_id}"),
    ]
    if row.message:
        found.append(Offer("m", "message", row.message))
    if detail is None:
        return found
    job = detail.job
    if job.traceback:
        found.append(Offer("t", "traceback", job.traceback))
    if job.result not in ({}, None):
        found.append(Offer("o", "result, as JSON", json.dumps(job.result, indent=2, ensure_ascii=False, default=str)))
    if isinstance(job.source, dict) and isinstance(job.source.get("text"), str):
        found.append(Offer("f", "function's text", job.source["text"]))
    return found


class CopyScreen(Dialog["Offer | None"]):
    """The menu; it gives back what was chosen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "leave", "back"),
        Binding("j", "down", show=False),
        Binding("k", "up", show=False),
    ]

    def __init__(self, row: JobRow, detail: Detail | None) -> None:
        super().__init__()
        self.row = row
        self.offered = offers(row, detail)

    def compose(self) -> ComposeResult:
        """The menu."""
        with Vertical(classes="dialog"):
            yield Static(Content.assemble(("Copy  ", "bold"), (plain(self.row.title, 60), "$foreground-muted")))
            yield Static(classes="air")
            yield OptionList(*(Option(_line(offer)) for offer in self.offered), compact=True, markup=False)
            yield Static(classes="air")
            yield Static(Content.styled("a letter or Enter copies · Esc goes back", "$foreground-muted"))

    def on_key(self, event: events.Key) -> None:
        """A letter chooses."""
        chosen = next((offer for offer in self.offered if offer.letter == event.character), None)
        if chosen is not None:
            event.stop()
            _ = self.dismiss(chosen)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Enter, or a click, chooses."""
        _ = self.dismiss(self.offered[event.option_index])

    def action_leave(self) -> None:
        """Copy nothing."""
        _ = self.dismiss(None)

    def action_down(self) -> None:
        """One down."""
        self.query_one(OptionList).action_cursor_down()

    def action_up(self) -> None:
        """One up."""
        self.query_one(OptionList).action_cursor_up()


def _line(offer: Offer) -> Content:
    first = plain(offer.text.strip().split("\n", 1)[0], 44)
    return Content.assemble(
        (f" {offer.letter} ", "bold $primary"), " ", fit(offer.name, 26), (first, "$foreground-muted")
    )
