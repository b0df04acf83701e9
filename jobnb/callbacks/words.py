"""What a callback says beside its fraction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

METRICS = 4
"""How many metrics are named in a message."""


def count(what: str, done: int, total: float | None) -> str:
    """`epoch 3/10`, or `epoch 3` where nobody knows how many there are."""
    return f"{what} {done:,}/{total:,.0f}" if total and total != float("inf") else f"{what} {done:,}"


def metrics(values: Mapping[str, Any]) -> str:
    """`loss=0.2134, accuracy=0.93`: the first few of those that are numbers."""
    shown = []
    for name, value in values.items():
        try:
            shown.append(f"{name}={float(value):.4g}")
        except (TypeError, ValueError):
            continue
    return ", ".join(shown[:METRICS])


def joined(*parts: str) -> str:
    """The parts that say something."""
    return " · ".join(part for part in parts if part)
