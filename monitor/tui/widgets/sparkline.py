"""Numbers over time as a row of little bars; pure functions from numbers to text."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_BARS = " ▁▂▃▄▅▆▇█"
_FULL = len(_BARS) - 1
_AIR = _FULL - 1
"""The highest bar of a single line: a little less than full, so that one line does not run into the next."""


def bars(values: Sequence[float], width: int, height: int = 1) -> list[str]:
    """`height` lines of `width` cells, the newest value on the right; more values than cells share a cell.

    The highest value fills the height. A value above 0 is always seen, so that a quiet minute and a dead one differ.
    """
    shares = _shares(values, width)
    top = max(shares, default=0.0) or 1.0
    most = _AIR if height == 1 else _FULL * height
    steps = [0 if value <= 0 else max(1, round(value / top * most)) for value in shares]
    padding = " " * (width - len(steps))
    rows = []
    for row in range(height):
        below = (height - 1 - row) * _FULL
        rows.append(padding + "".join(_BARS[max(0, min(_FULL, step - below))] for step in steps))
    return rows


def _shares(values: Sequence[float], width: int) -> list[float]:
    if len(values) <= width:
        return list(values)
    edges = [round(index * len(values) / width) for index in range(width + 1)]
    parts = [values[begin:end] for begin, end in itertools.pairwise(edges)]
    return [sum(part) / len(part) for part in parts]
