"""The bottom line: the keys that matter most here, as many as fit, and always those for help and for leaving."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input

from monitor.tui.keymap import key_words

if TYPE_CHECKING:
    from textual import events
    from textual.screen import Screen

_PRINTABLE = ("slash", "question_mark", "q")
ALWAYS = ("app.help", "app.quit")


class Shown(NamedTuple):
    """A key on the line.

    Attributes:
        start: its first cell.
        end: the cell after its last.
        action: what it does.
        key: how it is written.
        words: what is said about it.
    """

    start: int
    end: int
    action: str
    key: str
    words: str


class KeyBar(Widget):
    """See the module. Textual's own footer shows keys in the order they are found, and loses the last ones."""

    ALLOW_SELECT = False

    def on_mount(self) -> None:
        """Follow the focus."""
        self.screen.bindings_updated_signal.subscribe(self, self._updated)

    def _updated(self, _screen: Screen[object]) -> None:
        self.refresh()

    def shown(self) -> list[Shown]:
        """The keys on the line."""
        found: dict[str, tuple[str, str, str]] = {}
        typing = isinstance(self.screen.focused, Input)
        for active in self.screen.active_bindings.values():
            binding = active.binding
            if typing and binding.key in _PRINTABLE:
                continue
            if binding.show and active.enabled and (binding.id or binding.action) not in found:
                said = (binding.action, key_words(binding.key), binding.description)
                found[binding.id or binding.action] = said
        ends = [found.pop(name) for name in ALWAYS if name in found]
        room = self.size.width - 1 - sum(_cells(one) for one in ends)
        placed, at = [], 1
        for one in [*found.values(), None, *ends]:
            if one is None:
                room += sum(_cells(end) for end in ends)
                at = max(at, self.size.width - sum(_cells(end) for end in ends))
            elif at + _cells(one) <= room + 1:
                placed.append(Shown(at, at + _cells(one) - 2, one[0], one[1], one[2]))
                at += _cells(one)
        return placed

    def render(self) -> Content:
        """The line."""
        parts: list[tuple[str, str]] = []
        at = 0
        for one in self.shown():
            parts.append((" " * (one.start - at), ""))
            parts += [(one.key, "bold $footer-key-foreground"), (f" {one.words}", "$footer-description-foreground")]
            at = one.end
        return Content.assemble(*(part for part in parts if part[0]))

    async def on_click(self, event: events.Click) -> None:
        """Do what a click is on."""
        for one in self.shown():
            if one.start <= event.x < one.end:
                await self.app.run_action(one.action, self.screen.focused or self.screen)


def _cells(one: tuple[str, str, str]) -> int:
    return len(one[1]) + 1 + len(one[2]) + 2
