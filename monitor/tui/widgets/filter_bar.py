"""The line over the table: the filter, edited as one types, and at its right end what the table shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.binding import Binding
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from jobnb.errors import JobnbError
from monitor.filter_words import BY_NAME
from monitor.tui.text import fit, plain

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.timer import Timer

    from monitor.model import Completion
    from monitor.source import Source

EXAMPLES = "status:failed  type:train  since:2h  took:>30s  or any word"
WAIT = 0.12
"""Seconds without a key after which what was typed is looked for."""


def settled(text: str) -> str:
    """What was typed, without a last word that may be the beginning of a key: nobody wants to see jobs called `sta`."""
    word = text.rsplit(" ", 1)[-1]
    return (
        text[: len(text) - len(word)] if word and any(name.startswith(word.lstrip("-!")) for name in BY_NAME) else text
    )


class FilterInput(Input):
    """Where the filter is typed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "take", "complete", id="filter.complete"),
        Binding("down", "choose(1)", "choose", show=False, id="filter.next"),
        Binding("up", "choose(-1)", "choose", show=False, id="filter.previous"),
        Binding("enter", "keep", "keep", id="filter.keep"),
        Binding("escape", "leave", "back", id="filter.leave"),
    ]

    class Key(Message):
        """A key that the bar answers."""

        def __init__(self, deed: str, by: int = 0) -> None:
            super().__init__()
            self.deed = deed
            self.by = by

    def action_take(self) -> None:
        """Take the completion that is chosen."""
        self.post_message(self.Key("take"))

    def action_choose(self, by: int) -> None:
        """Choose another completion."""
        self.post_message(self.Key("choose", by))

    def action_keep(self) -> None:
        """Go back to the table with this filter."""
        self.post_message(self.Key("keep"))

    def action_leave(self) -> None:
        """Go back to the table with the filter that was there before."""
        self.post_message(self.Key("leave"))


class Completions(OptionList, can_focus=False):
    """The ways to go on, under the bar."""


class FilterBar(Horizontal):
    """See the module. It knows the filter's text; what it means is the screen's business."""

    class Typed(Message):
        """The text has changed, and nothing was typed for a moment."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Left(Message):
        """Typing is over; `text` is the filter now."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, source: Source) -> None:
        super().__init__()
        self.source = source
        self.input = FilterInput(id="filter-input", placeholder=EXAMPLES, compact=True, select_on_focus=False)
        self.offers = Completions(id="filter-completions", compact=True, markup=False)
        self._shown, self._end_words = Static(id="filter-text"), Static(id="filter-status")
        self.text = ""
        self.typing = False
        self._before = ""
        self._offers: list[Completion] = []
        self._error = ""
        self._status = Content("")
        self._timer: Timer | None = None

    def compose(self) -> ComposeResult:
        """The text or the field for it, the status, the completions."""
        yield self._shown
        yield self.input
        yield self._end_words
        yield self.offers

    def on_mount(self) -> None:
        """Begin at rest."""
        self._rest()

    def edit(self, *, again: bool = False) -> None:
        """Start typing, at the end of the filter; `again` if it could not be read, so that one may still go back."""
        if not again:
            self._before = self.text
        self.typing = True
        self.add_class("-typing")
        self._shown.display = False
        self.input.display = True
        with self.prevent(Input.Changed):
            self.input.value = self.text + " " if self.text else ""
        self.input.cursor_position = len(self.input.value)
        self.input.focus()
        self._ask()

    def set_text(self, text: str) -> None:
        """Show another filter."""
        self.text = text
        if not self.typing:
            self._rest()

    def set_error(self, words: str) -> None:
        """Say what is wrong with what was typed; empty if nothing is."""
        self._error = words
        self._show_status()

    def set_status(self, status: Content) -> None:
        """What the right end says."""
        if not status.is_same(self._status):
            self._status = status
            self._show_status()

    def _show_status(self) -> None:
        status = Content.styled(plain(self._error, 200), "$error") if self._error else self._status
        # its width does not depend on its text, so nothing has to be laid out anew
        self._end_words.update(status, layout=False)

    def _rest(self) -> None:
        self.typing = False
        self.remove_class("-typing")
        self.input.display = False
        self.offers.display = False
        self._shown.display = True
        shown = (
            Content.styled(plain(self.text), "bold") if self.text else Content.styled("filter", "$foreground-disabled")
        )
        self._shown.update(Content.assemble(("/ ", "$primary"), shown))

    @on(Input.Changed, "#filter-input")
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(WAIT, self._settled)
        self._ask()

    def _settled(self) -> None:
        text = settled(self.input.value).strip()
        if self.typing and text != self.text:
            self.text = text
            self.post_message(self.Typed(text))

    @work(thread=True, exclusive=True, group="complete", exit_on_error=False)
    def _ask(self) -> None:
        text, cursor = self.input.value, self.input.cursor_position
        try:
            offers = self.source.complete(text, cursor)
        except JobnbError:  # the language's own words come without the database; this is no moment for a complaint
            offers = []
        self.app.call_from_thread(self._offer, text, offers)

    def _offer(self, text: str, offers: list[Completion]) -> None:
        if not self.typing or text != self.input.value:
            return
        self._offers = offers[:8]
        width = max((len(plain(offer.label, 40)) for offer in self._offers), default=0)
        self.offers.clear_options()
        self.offers.add_options(
            Option(
                Content.assemble(fit(plain(offer.label, 40), width + 2), (plain(offer.hint, 60), "$foreground-muted"))
            )
            for offer in self._offers
        )
        self.offers.display = bool(self._offers)
        self.offers.styles.offset = (1 + max(0, self.input.cursor_position - self.input.scroll_offset.x - 12), 1)

    @on(OptionList.OptionSelected, "#filter-completions")
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self._take(event.option_index)

    @on(FilterInput.Key)
    def _key(self, event: FilterInput.Key) -> None:
        event.stop()
        chosen = self.offers.highlighted
        if event.deed == "choose":
            self._choose(event.by)
        elif event.deed == "take" or (event.deed == "keep" and chosen is not None and self.offers.display):
            self._take(chosen or 0)
        elif event.deed == "keep":
            self._end(self.input.value.strip())
        else:
            self._end(self._before)

    def _choose(self, by: int) -> None:
        if self._offers:
            now = self.offers.highlighted
            self.offers.highlighted = (-1 if now is None and by > 0 else now or 0) + by
            self.offers.highlighted = (self.offers.highlighted or 0) % len(self._offers)

    def _take(self, index: int) -> None:
        if index < len(self._offers):
            offer = self._offers[index]
            self.input.value = offer.text
            self.input.cursor_position = offer.cursor

    def _end(self, text: str) -> None:
        self.text = text
        self._error = ""
        self._rest()
        self.post_message(self.Left(text))
