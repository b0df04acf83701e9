"""What a job printed, wrapped to the width there is; at its end it follows what comes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from rich.segment import Segment
from textual.binding import Binding
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from monitor.tui.text import clock, fit, plain, wrap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.style import Style
    from textual.binding import BindingType

    from monitor.model import LogRow

STAMPED = 60
"""Cells from which on lines begin with their time."""
KEPT = 20_000
"""Lines that are kept; the first ones are forgotten, and can be read again."""
_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")


class _Piece(NamedTuple):
    stamp: str
    text: str
    stream: str


class LogView(ScrollView, can_focus=True):
    """See the module."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "log--stamp",
        "log--stdout",
        "log--stderr",
        "log--log",
        "log--jobnb",
        "log--empty",
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll_up", show=False),
        Binding("down,j", "scroll_down", show=False),
        Binding("pageup,ctrl+b", "page_up", show=False),
        Binding("pagedown,ctrl+f,space", "page_down", show=False),
        Binding("home,g", "scroll_home", show=False),
        Binding("end,G", "follow", "follow", show=False),
    ]

    class OlderWanted(Message):
        """The beginning of what is known came into view, and there is more before it."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.lines: list[LogRow] = []
        self.following = True
        self.empty = "this job printed nothing"
        self._pieces: list[_Piece] = []
        self._width = 0

    @property
    def last(self) -> int | None:
        """The number of the last line that is known; None if none is."""
        return self.lines[-1].n if self.lines else None

    @property
    def has_older(self) -> bool:
        """True if lines before the known ones were left out."""
        return bool(self.lines) and self.lines[0].n > 1

    def clear(self) -> None:
        """Forget everything, and follow."""
        self.lines, self._pieces, self.following = [], [], True
        self.virtual_size = Size(0, 0)
        self.scroll_to(y=0, animate=False, force=True)
        self.refresh()

    def append(self, rows: Sequence[LogRow]) -> None:
        """Add lines at the end; lines that are there already are left out."""
        last = self.last or 0
        new = [row for row in rows if row.n > last]
        if not new:
            return
        self.lines += new
        if len(self.lines) > KEPT:
            del self.lines[: len(self.lines) - KEPT]
            self._wrap_all()
        else:
            begin = len(self._pieces)
            self._pieces += [piece for row in new for piece in self._wrapped(row)]
            self._resized(begin)

    def prepend(self, rows: Sequence[LogRow]) -> None:
        """Add lines at the beginning; what is on screen stays where it is."""
        first = self.lines[0].n if self.lines else 1 << 62
        new = [row for row in rows if row.n < first]
        if not new:
            return
        self.lines[:0] = new
        pieces = [piece for row in new for piece in self._wrapped(row)]
        self._pieces[:0] = pieces
        self.virtual_size = Size(0, len(self._pieces))
        self.scroll_to(y=self.scroll_offset.y + len(pieces), animate=False, force=True)
        self.refresh()

    def on_resize(self) -> None:
        """Wrap anew."""
        if self.scrollable_content_region.width != self._width:
            self._wrap_all()
        elif self.following:
            self.scroll_end(animate=False, force=True)

    def _wrap_all(self) -> None:
        self._width = self.scrollable_content_region.width
        self._pieces = [piece for row in self.lines for piece in self._wrapped(row)]
        self._resized(0)

    def _resized(self, begin: int) -> None:
        self.virtual_size = Size(0, len(self._pieces))
        if self.following:
            self.scroll_end(animate=False, force=True)
        top = round(self.scroll_offset.y)
        if begin < top + self.size.height:
            self.refresh()

    def _wrapped(self, row: LogRow) -> list[_Piece]:
        text = plain(_COLOUR.sub("", row.line.rstrip("\r").rsplit("\r", 1)[-1]).expandtabs(8), 4000)
        stamp = f"{clock(row.at, row.at)}  " if self._width >= STAMPED else ""
        pieces = wrap(text, max(8, self._width - len(stamp)))
        return [_Piece(stamp if first else " " * len(stamp), piece, row.stream) for first, piece in
                ((index == 0, piece) for index, piece in enumerate(pieces))]  # fmt: skip

    def render_line(self, y: int) -> Strip:
        """The line `y` of the screen."""
        width = self.scrollable_content_region.width
        line = round(self.scroll_offset.y) + y
        if line >= len(self._pieces):
            words = " " + self.empty if not self._pieces and y == 1 else ""
            return Strip([Segment(fit(words, width), self._style("empty"))], width)
        piece = self._pieces[line]
        stamp = Segment(piece.stamp, self._style("stamp"))
        text = Segment(fit(piece.text, width - len(piece.stamp)), self._style(piece.stream))
        return Strip([stamp, text], width)

    def _style(self, stream: str) -> Style:
        known = stream if stream in ("stamp", "stdout", "stderr", "log", "jobnb", "empty") else "stdout"
        return self.rich_style + self.get_component_rich_style(f"log--{known}", partial=True)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """At the end follow, elsewhere hold still; at the beginning ask for more."""
        super().watch_scroll_y(old_value, new_value)
        self.following = new_value >= self.max_scroll_y - 0.5
        if new_value < 1 and old_value >= 1 and self.has_older:
            self.post_message(self.OlderWanted())

    def action_follow(self) -> None:
        """Go to the end, and stay there."""
        self.following = True
        self.scroll_end(animate=False, force=True)
