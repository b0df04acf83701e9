"""Columns of a table: what each shows, how wide it is, and which of them a narrow terminal leaves out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from monitor.tui.text import fit, fit_right

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

Row = TypeVar("Row")
Span = tuple[str, str]
"""A plain text and the name of the style it is drawn in; the empty name is the row's own style."""

MUTED, FAINT, STRONG = "table--muted", "table--faint", "table--strong"
"""Styles that every table has."""
GAP = 2
"""Cells between two columns."""


@dataclass(frozen=True)
class Column(Generic[Row]):
    """One column.

    Attributes:
        name: what the screen and its settings call it.
        title: what its head says.
        width: cells it needs at least, and has if it does not grow.
        draw: what it shows of a row at a moment in so many cells: spans that together fill them exactly.
        grow: its share of the cells that are left over; 0 for a column that stays as it is.
        most: cells it never grows beyond; 0 for no limit.
        rank: columns of higher ranks are left out first where there is no room.
        right: True if its head stands on the right, as numbers do.
    """

    name: str
    title: str
    width: int
    draw: Callable[[Row, datetime, int], Sequence[Span]]
    grow: int = 0
    most: int = 0
    rank: int = 0
    right: bool = False


def text_column(
    name: str,
    title: str,
    width: int,
    text: Callable[[Row, datetime], str],
    *,
    style: str = "",
    grow: int = 0,
    most: int = 0,
    rank: int = 0,
    right: bool = False,
) -> Column[Row]:
    """A column of plain texts in one style."""
    place = fit_right if right else fit

    def draw(row: Row, now: datetime, cells: int) -> Sequence[Span]:
        return ((place(text(row, now), cells), style),)

    return Column(name, title, width, draw, grow, most, rank, right)


def count_cell(count: int, width: int, style: str = "") -> Sequence[Span]:
    """A number, or a dash for none, which is easier to overlook than a zero."""
    return ((fit_right(f"{count:,}" if count else "-", width), style if count else FAINT),)


def count_column(
    name: str, title: str, width: int, count: Callable[[Row], int], *, style: str = "", rank: int = 0
) -> Column[Row]:
    """A column of numbers."""
    return Column(name, title, width, lambda row, _, cells: count_cell(count(row), cells, style), rank=rank, right=True)


@dataclass(frozen=True)
class Placed(Generic[Row]):
    """A column with the cells it has got."""

    column: Column[Row]
    width: int


def place(columns: Sequence[Column[Row]], width: int) -> list[Placed[Row]]:
    """Choose the columns that fit into `width` cells, lowest ranks first, and share out the cells left over."""
    chosen = sorted(columns, key=lambda column: column.rank)
    while len(chosen) > 1 and _needed(chosen) > width:
        chosen.pop()
    widths = {column.name: column.width for column in chosen}
    _grow(chosen, widths, width - _needed(chosen))
    return [Placed(column, widths[column.name]) for column in columns if column.name in widths]


def _needed(columns: Sequence[Column[Row]]) -> int:
    return sum(column.width for column in columns) + GAP * (len(columns) - 1)


def _grow(columns: Sequence[Column[Row]], widths: dict[str, int], spare: int) -> None:
    growing = [column for column in columns if column.grow]
    while spare > 0 and growing:
        shares = sum(column.grow for column in growing)
        given = 0
        for column in growing:
            wanted = max(1, spare * column.grow // shares)
            room = column.most - widths[column.name] if column.most else spare
            added = max(0, min(wanted, room, spare - given))
            widths[column.name] += added
            given += added
        growing = [column for column in growing if not column.most or widths[column.name] < column.most]
        spare -= given
        if not given:
            break


def width_of(placed: Sequence[Placed[Row]]) -> int:
    """The cells that a row takes."""
    return sum(one.width for one in placed) + GAP * max(0, len(placed) - 1)


def head(placed: Sequence[Placed[Row]], sorted_by: str = "", mark: str = "") -> str:
    """The titles, each over its column; `mark` stands behind the title of the column sorted by."""
    cells = []
    for one in placed:
        title = one.column.title + (f" {mark}" if one.column.name == sorted_by else "")
        cells.append((fit_right if one.column.right else fit)(title, one.width))
    return (" " * GAP).join(cells)


def column_at(placed: Sequence[Placed[Row]], cell: int) -> str:
    """The name of the column that this cell belongs to; empty beyond the last one."""
    for one in placed:
        if cell < one.width + GAP:
            return one.column.name
        cell -= one.width + GAP
    return ""


def spans(placed: Sequence[Placed[Row]], row: Row, now: datetime) -> tuple[Span, ...]:
    """A whole row: the columns with gaps between them. Neighbours in one style are joined; spaces take any style."""
    joined: list[Span] = []
    for index, one in enumerate(placed):
        gap = " " * GAP if index else ""
        for text, style in one.column.draw(row, now, one.width):
            if joined and (joined[-1][1] == style or text.isspace()):
                joined[-1] = (joined[-1][0] + gap + text, joined[-1][1])
            else:
                joined.append((gap + text, style))
            gap = ""
    return tuple(joined)
