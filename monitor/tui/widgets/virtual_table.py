"""A table of any length that draws the lines on screen, knows the rows near them, and asks for the rest.

Each row is one `Strip` of a few segments, kept until the row looks different; a row that changes repaints its own
line and nothing else. Rows are handed in with `put`; what is missing is asked for with the message `Wanted`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar, Generic, NamedTuple, TypeVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from monitor.tui.text import fit
from monitor.tui.widgets.columns import Column, Placed, Span, head, place, spans
from monitor.tui.widgets.rows import Rows

if TYPE_CHECKING:
    from textual import events
    from textual.binding import BindingType

Row = TypeVar("Row")

GUTTER = 3
"""Cells before the first column, for the cursor's bar and the mark."""


class _Drawn(NamedTuple):
    row: object
    flags: tuple[bool, bool, bool, int]
    spans: tuple[Span, ...]
    strip: Strip


class VirtualTable(ScrollView, Generic[Row], can_focus=True):
    """The table; see the module."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "table--head", "table--cursor", "table--cursor-away", "table--bar", "table--bar-away", "table--mark",
        "table--muted", "table--faint", "table--strong", "table--accent", "table--track",
        "state--scheduled", "state--in_progress", "state--done", "state--failed", "state--cancelled",
        "state--timeout", "state--lost",
    }  # fmt: skip
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "up", show=False, id="table.up"),
        Binding("down,j", "move(1)", "down", show=False, id="table.down"),
        Binding("pageup,ctrl+b", "move_page(-1)", "page up", show=False, id="table.page_up"),
        Binding("pagedown,ctrl+f", "move_page(1)", "page down", show=False, id="table.page_down"),
        Binding("home,g", "top", "top", show=False, id="table.top"),
        Binding("end,G", "bottom", "bottom", show=False, id="table.bottom"),
        Binding("enter", "open", "open", id="table.open"),
    ]

    class Wanted(Message):
        """Other lines came into view; some of their rows may be missing."""

    class Replaced(Message):
        """The columns, or the order they are sorted by, are others now."""

    class Moved(Message):
        """The cursor is on another row, or on the same line with another row under it."""

    class Opened(Message):
        """The row under the cursor was asked for: Enter, or a click on it."""

    def __init__(self, columns: Sequence[Column[Row]], key: Callable[[Row], Hashable], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.columns = columns
        self.rows: Rows[Row] = Rows(key)
        self.cursor = 0
        self.marked: set[Hashable] = set()
        self.sorted_by, self.sort_mark = "", ""
        self.now = datetime.now(UTC)
        self.empty: Sequence[Span] = ()
        self.lines_drawn = 0
        self._under: Hashable = None
        self.placed: list[Placed[Row]] = []
        self._drawn: dict[int, _Drawn] = {}
        self._styles: dict[tuple[str, str], Style] = {}

    # what is shown

    @property
    def current(self) -> Row | None:
        """The row under the cursor, if it is known."""
        return self.rows[self.cursor]

    @property
    def first(self) -> int:
        """The line at the top of the screen."""
        return round(self.scroll_offset.y)

    @property
    def height(self) -> int:
        """How many lines are on screen."""
        return max(1, self.scrollable_content_region.height)

    @property
    def at_top(self) -> bool:
        """True if the first row is on screen and the cursor on it."""
        return self.first == 0 and self.cursor == 0

    def put(self, first: int, rows: Sequence[Row]) -> int:
        """Write rows over the lines from `first` on; returns how many lines on screen have to be painted again."""
        changed = []
        for line, row in enumerate(rows, first):
            if self.rows[line] != row:  # an equal row stays the same object, and its strip with it
                self.rows.put(line, (row,))
                changed.append(line)
        self._resize()
        painted = self.repaint(line for line in changed if self._on_screen(line))
        if self.cursor in changed:
            self._follow_row()
        return painted

    def push_down(self, count: int) -> None:
        """Make room on top for `count` rows; all others move down, and the cursor stays on its line."""
        self.rows.push_down(count)
        self._resize()
        self.refresh()

    def forget(self) -> None:
        """Forget what the lines hold, but not how many there are nor where the cursor is."""
        self.rows.forget()
        self._drawn.clear()
        self.refresh()

    def set_total(self, total: int) -> None:
        """Say how many lines there are."""
        if total == self.rows.total:
            return
        nothing = not total or not self.rows.total
        self.rows.cut(total)
        self._resize()
        if nothing or self.first + self.height > total:
            self.refresh()
        if self.cursor >= total:
            self.move_to(total - 1)

    def clear(self) -> None:
        """Forget all rows and go to the top; marks stay."""
        self.rows.clear()
        self._drawn.clear()
        self.cursor, self._under = 0, None
        self._resize()
        self.scroll_to(y=0, animate=False, force=True)
        self.refresh()

    def tick(self, now: datetime) -> int:
        """Let time pass: lines that say how long ago or how long are painted again where they say something else."""
        self.now = now
        return self.repaint(range(self.first, min(self.first + self.height, self.rows.total)))

    def repaint(self, lines: object) -> int:
        """Paint those lines of the given ones that look different from what was painted."""
        painted = 0
        for line in lines:  # type: ignore[attr-defined] # any iterable of lines
            before = self._drawn.get(self.rows.place(line))
            row = self.rows[line]
            if row is not None and before is not None and before.flags == self._flags(line, row):
                if before.spans == (looks := spans(self.placed, row, self.now)):
                    self._drawn[self.rows.place(line)] = before._replace(row=row, spans=looks)
                    continue
                del self._drawn[self.rows.place(line)]
            self.refresh_line(line)
            painted += 1
        return painted

    def set_columns(self, columns: Sequence[Column[Row]]) -> None:
        """Show other columns."""
        self.columns = columns
        self.place_columns()

    def show_sort(self, column: str, mark: str) -> None:
        """Name the column that the rows are sorted by, and the sign behind its title."""
        self.sorted_by, self.sort_mark = column, mark
        self.post_message(self.Replaced())

    def head(self) -> str:
        """The titles of the columns, as wide as the table."""
        return " " * GUTTER + head(self.placed, self.sorted_by, self.sort_mark)

    # painting

    def _on_screen(self, line: int) -> bool:
        return 0 <= line - self.first < self.height

    def _resize(self) -> None:
        if self.virtual_size.height != self.rows.total:
            self.virtual_size = Size(0, self.rows.total)

    def on_resize(self) -> None:
        """Share the width out anew."""
        self.place_columns()
        self.post_message(self.Wanted())

    def place_columns(self) -> None:
        """Share the width out among the columns."""
        self.placed = place(self.columns, self.scrollable_content_region.width - GUTTER)
        self._drawn.clear()
        self.refresh()
        self.post_message(self.Replaced())

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
        strip = Strip(segments).adjust_cell_length(width, self.style_of("", base))
        return _Drawn(row, flags, looks, strip)

    def _nothing(self, y: int, width: int) -> Strip:
        start = max(0, (self.height - len(self.empty)) // 3)
        if self.rows.total or not start <= y < start + len(self.empty):
            return Strip.blank(width, self.style_of(""))
        text, style = self.empty[y - start]
        return Strip([Segment(fit(text.center(width) if len(text) < width else text, width), self.style_of(style))], width)

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

    # moving

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Ask for what came into view."""
        super().watch_scroll_y(old_value, new_value)
        if round(old_value) != round(new_value):
            self.post_message(self.Wanted())

    def move_to(self, line: int) -> None:
        """Put the cursor on a line and bring it into view."""
        before, self.cursor = self.cursor, max(0, min(self.rows.total - 1, line))
        if self.cursor < self.first:
            self.scroll_to(y=self.cursor, animate=False, force=True)
        elif self.cursor >= self.first + self.height:
            self.scroll_to(y=self.cursor - self.height + 1, animate=False, force=True)
        self.repaint({before, self.cursor})
        self._notice_row()

    def _follow_row(self) -> None:
        """Other rows are on the cursor's line: go with the row that was under it, if it is near."""
        if self._under is not None and not self.at_top:
            near = self.rows.find(self._under, self.first, self.height)
            if near is not None and near != self.cursor:
                before, self.cursor = self.cursor, near
                self.repaint({before, near})
        self._notice_row()

    def _notice_row(self) -> None:
        row = self.current
        key = None if row is None else self.rows.key(row)
        if key is not None:
            self._under = key
        self.post_message(self.Moved())

    def action_move(self, lines: int) -> None:
        """Move the cursor by some lines."""
        self.move_to(self.cursor + lines)

    def action_move_page(self, pages: int) -> None:
        """Move the cursor and the view by pages, one line less so that the eye keeps its place."""
        step = pages * max(1, self.height - 1)
        self.scroll_to(y=self.first + step, animate=False, force=True)
        self.move_to(self.cursor + step)

    def action_top(self) -> None:
        """Go to the first row."""
        self.move_to(0)

    def action_bottom(self) -> None:
        """Go to the last row."""
        self.move_to(self.rows.total - 1)

    def action_open(self) -> None:
        """Open the row under the cursor."""
        if self.current is not None:
            self.post_message(self.Opened())

    def on_click(self, event: events.Click) -> None:
        """Put the cursor where the mouse is; a second click opens."""
        line = self.first + event.y
        if line < self.rows.total:
            self.move_to(line)
            if event.chain == 2:
                self.action_open()
