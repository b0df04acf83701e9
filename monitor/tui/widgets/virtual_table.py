"""A table of any length that knows the rows near the screen, and asks for the rest.

Rows are handed in with `put`; when other lines come into view it says so with the message `Wanted`. The cursor stays
on its row, by the row's key, when rows come and go around it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, TypeVar

from textual.binding import Binding
from textual.message import Message

from monitor.tui.widgets.table_view import TableView

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from textual import events
    from textual.binding import BindingType

    from monitor.tui.widgets.columns import Column

Row = TypeVar("Row")


class VirtualTable(TableView[Row]):
    """The table; see the module."""

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

    class Moved(Message):
        """The cursor is on another row, or on the same line with another row under it."""

    class TopWanted(Message):
        """The reader went to the top, on purpose and at once."""

    class Opened(Message):
        """The row under the cursor was asked for: Enter, or a double click on it."""

    def __init__(
        self, columns: Sequence[Column[Row]], key: Callable[[Row], Hashable], *, id: str | None = None
    ) -> None:
        super().__init__(columns, key, id=id)
        self._under: Hashable = None

    @property
    def current(self) -> Row | None:
        """The row under the cursor, if it is known."""
        return self.rows[self.cursor]

    @property
    def at_top(self) -> bool:
        """True if the first row is on screen and the cursor on it."""
        return self.first == 0 and self.cursor == 0

    # rows

    def put(self, first: int, rows: Sequence[Row]) -> int:
        """Write rows over the lines from `first` on; returns how many lines on screen have to be painted again."""
        changed = []
        for line, row in enumerate(rows, first):
            if self.rows[line] != row:  # an equal row stays the same object, and its strip with it
                self.rows.put(line, (row,))
                changed.append(line)
        self.fit_scrollbar()
        painted = self.repaint(line for line in changed if self.on_screen(line))
        if self.cursor in changed:
            self._follow_row()
        return painted

    def push_down(self, count: int) -> None:
        """Make room on top for `count` rows; all others move down, and the cursor stays on its line."""
        self.rows.push_down(count)
        self.fit_scrollbar()
        self.refresh()

    def set_total(self, total: int) -> None:
        """Say how many lines there are."""
        if total == self.rows.total:
            return
        nothing = not total or not self.rows.total
        self.rows.cut(total)
        self.fit_scrollbar()
        if nothing or self.first + self.height > total:
            self.refresh()
        if self.cursor >= total:
            self.move_to(total - 1)

    def forget(self) -> None:
        """Forget what the lines hold, but not how many there are nor where the cursor is."""
        self.rows.forget()
        self.forget_drawn()

    def clear(self) -> None:
        """Forget all rows and go to the top; marks stay."""
        self.rows.clear()
        self.cursor, self._under = 0, None
        self.fit_scrollbar()
        self.scroll_to(y=0, animate=False, force=True)
        self.forget_drawn()

    # moving

    def on_resize(self) -> None:
        """Share the width out anew, and ask for what came into view."""
        self.place_columns()
        self.post_message(self.Wanted())

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Ask for what came into view."""
        super().watch_scroll_y(old_value, new_value)
        if round(old_value) != round(new_value):
            self.post_message(self.Wanted())

    def move_to(self, line: int) -> None:
        """Put the cursor on a line and bring it into view."""
        self.fit_scrollbar(now=line >= self.virtual_size.height)
        before, self.cursor = self.cursor, max(0, min(self.rows.total - 1, line))
        if self.cursor < self.first:
            self.scroll_to(y=self.cursor, animate=False, force=True)
        elif self.cursor >= self.first + self.height:
            self.scroll_to(y=self.cursor - self.height + 1, animate=False, force=True)
        self.repaint({before, self.cursor})
        self._under = None  # on a line that is not read yet, whatever it holds is meant
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
        self.post_message(self.TopWanted())

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
