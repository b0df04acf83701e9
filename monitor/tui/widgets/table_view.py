"""How the lines of a long table get on the screen: each is one `Strip`, kept until its row looks different."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar, Generic, NamedTuple, TypeVar

from rich.segment import Segment
from rich.style import Style
from textual.filter import ANSIToTruecolor
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from monitor.tui.text import fit
from monitor.tui.widgets.columns import Column, Placed, Span, head, place, spans, width_of
from monitor.tui.widgets.rows import Rows

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence

    from textual.geometry import Region

Row = TypeVar("Row")

GUTTER = 3
"""Cells before the first column, for the cursor's bar and the mark."""


class _Drawn(NamedTuple):
    row: object
    flags: tuple[bool, bool, bool, int]
    spans: tuple[Span, ...]
    strip: Strip


class TableView(ScrollView, Generic[Row], can_focus=True):
    """Rows in columns, with a cursor and marks, all of which somebody else moves.

    A row that changes repaints its own line and nothing else; `lines_drawn` counts the lines that were made.
    """

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "table--head", "table--cursor", "table--cursor-away", "table--bar", "table--bar-away", "table--mark",
        "table--muted", "table--faint", "table--strong", "table--accent", "table--track",
        "state--scheduled", "state--in_progress", "state--done", "state--failed", "state--cancelled",
        "state--timeout", "state--lost",
    }  # fmt: skip

    class Replaced(Message):
        """The columns, or the order they are sorted by, are others now."""

    def __init__(
        self, columns: Sequence[Column[Row]], key: Callable[[Row], Hashable], *, id: str | None = None
    ) -> None:
        super().__init__(id=id)
        self.columns = columns
        self.rows: Rows[Row] = Rows(key)
        self.cursor = 0
        self.marked: set[Hashable] = set()
        self.sorted_by, self.sort_mark = "", ""
        self.now = datetime.now(UTC)  # until somebody knows the server's
        self.empty: Sequence[Span] = ()
        self.lines_drawn = 0
        self.placed: list[Placed[Row]] = []
        self._drawn: dict[int, _Drawn] = {}
        self._styles: dict[tuple[str, str], Style] = {}

    @property
    def first(self) -> int:
        """The line at the top of the screen."""
        return round(self.scroll_offset.y)

    @property
    def height(self) -> int:
        """How many lines are on screen; a guess before there is a screen."""
        return self.scrollable_content_region.height or 40

    def on_screen(self, line: int) -> bool:
        """True if the line is on screen."""
        return 0 <= line - self.first < self.height

    def tick(self, now: datetime) -> int:
        """Let time pass: lines that say how long ago or how long are painted again where they say something else."""
        self.now = now
        self.fit_scrollbar(now=True)
        return self.repaint(range(self.first, min(self.first + self.height, self.rows.total)))

    def repaint(self, lines: Iterable[int]) -> int:
        """Paint those of the lines that look different from what was painted; returns how many."""
        painted = 0
        for line in lines:
            if not self._looks_the_same(line):
                self.refresh_line(line)
                painted += 1
        return painted

    def _looks_the_same(self, line: int) -> bool:
        place_of_line, row = self.rows.place(line), self.rows[line]
        drawn = self._drawn.pop(place_of_line, None)
        if row is None or drawn is None or drawn.flags != self._flags(line, row):
            return False
        if drawn.spans != (looks := spans(self.placed, row, self.now)):
            return False
        self._drawn[place_of_line] = drawn._replace(row=row, spans=looks)
        return True

    def forget_drawn(self) -> None:
        """Draw every line anew."""
        self._drawn.clear()
        self.refresh()

    # columns

    def place_columns(self) -> None:
        """Share the width out among the columns."""
        self.placed = place(self.columns, self.scrollable_content_region.width - GUTTER)
        self.forget_drawn()
        self.post_message(self.Replaced())

    def show_sort(self, column: str, mark: str) -> None:
        """Name the column that the rows are sorted by, and the sign behind its title."""
        self.sorted_by, self.sort_mark = column, mark
        self.post_message(self.Replaced())

    def head(self) -> str:
        """The titles of the columns, as wide as the table."""
        return " " * GUTTER + head(self.placed, self.sorted_by, self.sort_mark)

    # painting

    def fit_scrollbar(self, *, now: bool = False) -> None:
        """Let the scrollbar know how many lines there are.

        It costs a layout of the whole screen, so a long list that grows waits for the next second, unless `now`.
        """
        known, total = self.virtual_size.height, self.rows.total
        if known != total and (now or not self.height * 2 < known < total):
            self.virtual_size = Size(0, total)

    def notify_style_update(self) -> None:
        """Draw everything anew: the theme or the focus has changed."""
        super().notify_style_update()
        self._styles.clear()
        self._drawn.clear()

    def watch_has_focus(self, _focused: bool) -> None:
        """The cursor looks different while the keys go elsewhere."""
        super().watch_has_focus(_focused)
        self._drawn.pop(self.rows.place(self.cursor), None)
        self.refresh_line(self.cursor)

    def render_lines(self, crop: Region) -> list[Strip]:
        """The lines inside `crop`; without the cache of styles between, which costs more than the drawing."""
        background = self.background_colors[1]
        strips = [self.render_line(y) for y in crop.line_range]
        for line_filter in self.get_line_filters():
            if isinstance(line_filter, ANSIToTruecolor):  # themes have no such colours, or want them as they are
                continue
            strips = [strip.apply_filter(line_filter, background) for strip in strips]
        if crop.column_span != (0, self.size.width):
            strips = [strip.crop(*crop.column_span) for strip in strips]
        return strips

    def render_line(self, y: int) -> Strip:
        """The line `y` of the screen."""
        line = self.first + y
        width = self.size.width
        if line >= self.rows.total:
            return self._nothing(y, width)
        row = self.rows[line]
        if row is None:
            return Strip([Segment(fit(" " * GUTTER + "·" * 8, width), self.style_of("table--faint"))], width)
        flags = self._flags(line, row)
        place_of_line = self.rows.place(line)
        drawn = self._drawn.get(place_of_line)
        if drawn is None or drawn.row is not row or drawn.flags != flags:
            if len(self._drawn) > 1000:
                self._drawn.clear()
            drawn = self._drawn[place_of_line] = self._draw(row, flags)
        return drawn.strip

    def _flags(self, line: int, row: Row) -> tuple[bool, bool, bool, int]:
        marked = bool(self.marked) and self.rows.key(row) in self.marked
        return line == self.cursor, self.has_focus, marked, self.size.width

    def _draw(self, row: Row, flags: tuple[bool, bool, bool, int]) -> _Drawn:
        self.lines_drawn += 1
        cursor, focused, marked, width = flags
        base = ("table--cursor" if focused else "table--cursor-away") if cursor else ""
        bar = Segment("▌" if cursor else " ", self.style_of("table--bar" if focused else "table--bar-away", base))
        mark = Segment("● " if marked else "  ", self.style_of("table--mark", base))
        looks = spans(self.placed, row, self.now)
        segments = [bar, mark, *(Segment(text, self.style_of(style, base)) for text, style in looks)]
        spare = width - GUTTER - width_of(self.placed)
        if spare > 0:
            segments.append(Segment(" " * spare, self.style_of("", base)))
        strip = Strip(segments, width if spare >= 0 else width - spare)
        return _Drawn(row, flags, looks, strip if spare >= 0 else strip.crop(0, width))

    def _nothing(self, y: int, width: int) -> Strip:
        start = max(0, (self.height - len(self.empty)) // 3)
        if self.rows.total or not start <= y < start + len(self.empty):
            return Strip.blank(width, self.style_of(""))
        text, style = self.empty[y - start]
        return Strip(
            [Segment(fit(text.center(width) if len(text) < width else text, width), self.style_of(style))], width
        )

    def style_of(self, name: str, base: str = "") -> Style:
        """A component's style on the background of another one."""
        style = self._styles.get((name, base))
        if style is None:
            below = self.get_component_rich_style(base) if base else self.rich_style
            style = below + self._own(name) if name else below
            self._styles[name, base] = style
        return style

    def _own(self, name: str) -> Style:
        whole, own = self.get_component_rich_style(name), self.get_component_rich_style(name, partial=True)
        return Style(color=whole.color, bold=own.bold, dim=own.dim, italic=own.italic, reverse=own.reverse)
