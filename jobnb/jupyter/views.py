"""How a board gets to be seen: as text, as HTML, in a terminal, or not at all. `widgets.py` has the lively one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

from jobnb.display import html
from jobnb.display.words import as_of

if TYPE_CHECKING:
    from jobnb.jupyter.board import Board
    from jobnb.jupyter.shell import Shell


class View(Protocol):
    """What a board shows itself in. Methods that return a number say how many messages they sent."""

    pause: float
    """Seconds between two updates, at least."""

    def open(self, board: Board) -> None:
        """Show it for the first time, under the running cell."""

    def update(self, board: Board) -> int:
        """Show what has changed."""

    def settle(self, board: Board, *, elsewhere: bool) -> int:
        """Put what is final into the document.

        Args:
            board: all its jobs have ended.
            elsewhere: speak for the cell of the board; otherwise for the one that runs.
        """

    def at_cell_end(self, board: Board) -> int:
        """The board's own cell ends while its jobs go on: leave a document that is true without us."""

    def reopen(self, board: Board) -> int:
        """More jobs came to a board that had settled."""

    def close(self) -> None:
        """Let go of what is alive; nobody will look at it any more."""


class NoView:
    """Shows nothing."""

    pause = 0.2

    def open(self, board: Board) -> None:
        """Show nothing."""

    def update(self, board: Board) -> int:
        """Show nothing."""
        del board
        return 0

    def settle(self, board: Board, *, elsewhere: bool) -> int:
        """Show nothing."""
        del board, elsewhere
        return 0

    def at_cell_end(self, board: Board) -> int:
        """Show nothing."""
        del board
        return 0

    def reopen(self, board: Board) -> int:
        """Show nothing."""
        del board
        return 0

    def close(self) -> None:
        """Nothing is alive."""


class TerminalView(NoView):
    """A line when jobs are submitted, and one when they have ended; a terminal can't take a line back."""

    def __init__(self) -> None:
        self._lines = 0
        self._is_told = False

    def open(self, board: Board) -> None:
        """Say that they were submitted."""
        self.update(board)

    def update(self, board: Board) -> int:
        """Say which ones were submitted since."""
        if board.has_lines and len(board.lines) > self._lines:
            for line in board.lines[self._lines :]:
                print(f"jobnb: {line.promise()}")  # noqa: T201 - the terminal is the display
            self._lines = len(board.lines)
        elif not board.has_lines and not self._lines:
            self._lines = 1
            print(f"jobnb: {board.promise()}")  # noqa: T201
        return 0

    def settle(self, board: Board, *, elsewhere: bool) -> int:
        """Say how they ended, once."""
        if elsewhere and not self._is_told:
            print(board.text())  # noqa: T201
        self._is_told = self._is_told or elsewhere
        return 0

    def reopen(self, board: Board) -> int:
        """There will be more to say."""
        del board
        self._is_told = False
        return 0


class DocumentView:
    """One output of the document, replaced as things change; as HTML, or as text alone.

    Args:
        shell: where it is shown.
        with_html: False for text alone.
    """

    pause = 0.5

    def __init__(self, shell: Shell, with_html: bool) -> None:
        self._shell, self._with_html = shell, with_html
        self._display_id = f"jobnb-{uuid4().hex[:12]}"
        self._shown: dict[str, Any] = {}

    def open(self, board: Board) -> None:
        """Show a line that claims nothing yet: who runs the notebook may never bring it up to date."""
        self._shell.display(self._promise(board), self._display_id)

    def update(self, board: Board) -> int:
        """Replace what is shown by how things are, and say at what time."""
        if board.is_over:
            return 0
        data = self._bundle(board)
        if data == self._shown:
            return 0
        self._shown = dict(data)
        data["text/plain"] += f"  {as_of()}"
        if self._with_html:
            data["text/html"] = html.said_now(data["text/html"])
        self._shell.update(data, self._display_id, board.cell)
        return 1

    def settle(self, board: Board, *, elsewhere: bool) -> int:
        """Replace it by how things ended."""
        self._shell.update(self._bundle(board), self._display_id, board.cell if elsewhere else None)
        # a tool that runs a notebook needs to hear of all boards, and has no server that drops messages
        return 1 if elsewhere else 0

    def at_cell_end(self, board: Board) -> int:
        """Claim nothing again; where somebody watches, the next update is not far."""
        self._shown = {}
        self._shell.update(self._promise(board), self._display_id)
        return 1

    def reopen(self, board: Board) -> int:
        """The next update will show it."""
        del board
        return 0

    def close(self) -> None:
        """Nothing is alive."""

    def _bundle(self, board: Board) -> dict[str, Any]:
        return {"text/plain": board.text(), **({"text/html": board.html()} if self._with_html else {})}

    def _promise(self, board: Board) -> dict[str, Any]:
        words = board.promise()
        return {"text/plain": words, **({"text/html": html.still_to_tell(words)} if self._with_html else {})}
