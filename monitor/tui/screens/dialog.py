"""What all dialogs have in common: they fit the smallest terminals too."""

from __future__ import annotations

from typing import TypeVar

from textual.screen import ModalScreen

Answer = TypeVar("Answer")

WIDE, TALL = 72, 18
"""Cells and lines below which a dialog gives up its margins."""


class Dialog(ModalScreen[Answer]):
    """A question over the page."""

    def on_resize(self) -> None:
        """Use every cell of a small terminal."""
        self.set_class(self.app.size.width < WIDE or self.app.size.height < TALL, "-tight")
