"""`WidgetView`: a board as live widgets, each line one HTML text and a Cancel button, until the jobs have ended.

At the end the document gets static HTML in their place. The widgets live on for a while, for pages that were reloaded:
those have forgotten which output is to be replaced, and still show the widgets.
"""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import ipywidgets

from jobnb.display import html

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobnb.jupyter.board import Board
    from jobnb.jupyter.shell import Shell

_shared: dict[str, Any] = {}


class WidgetView:
    """One output of a document, with widgets in it.

    Args:
        shell: where it is shown.
        cancel: called with the board and the number of the line whose Cancel was clicked; of the whole board if None.
            It may be called in any thread and has to return at once.
    """

    pause = 0.2

    def __init__(self, shell: Shell, cancel: Callable[[Board, int | None], None]) -> None:
        self._shell, self._cancel = shell, cancel
        self._display_id = f"jobnb-{uuid4().hex[:12]}"
        self._rows: list[_Row] = []
        self._as_lines = True
        self._box: Any = None

    def open(self, board: Board) -> None:
        """Show the widgets; a page that can't shows a line that claims nothing."""
        if self._box is None:
            self._as_lines = board.has_lines
            self._box = ipywidgets.VBox(layout=_layout("box"))
            self._grow(board)
        self._shell.display(self._bundle(board), self._display_id)

    def update(self, board: Board) -> int:
        """Send the texts that have changed."""
        sent = 0
        if self._as_lines and not board.has_lines:
            self._as_lines, self._rows = False, []
        if len(self._rows) < (len(board.lines) if self._as_lines else 1):
            sent += self._grow(board)
        for row, (text, state) in zip(self._rows, self._contents(board), strict=True):
            sent += row.show(text, state)
        return sent

    def settle(self, board: Board, *, elsewhere: bool) -> int:
        """Put static HTML in the place of the widgets, and send the widgets what is final once more."""
        self.update(board)
        if elsewhere:
            for row in self._rows:
                row.text.send_state("value")
        data = {"text/plain": board.text(), "text/html": board.html()}
        self._shell.update(data, self._display_id, board.cell if elsewhere else None)
        return len(self._rows) + 1

    def at_cell_end(self, board: Board) -> int:
        """Nothing to do: what the document holds claims nothing."""
        del board
        return 0

    def reopen(self, board: Board) -> int:
        """Put the widgets back."""
        self._shell.update(self._bundle(board), self._display_id, board.cell)
        return 1

    def close(self) -> None:
        """Forget the widgets; a page that still shows them keeps what they show."""
        for widget in [self._box, *(part for row in self._rows for part in (row.box, row.text, row.button))]:
            if widget is not None:
                widget.close()

    def _grow(self, board: Board) -> int:
        before = len(self._rows)
        wanted = self._contents(board)
        for number in range(before, len(wanted)):
            line = number if self._as_lines else None
            cancel = functools.partial(self._cancel, board, line)
            self._rows.append(_Row(*wanted[number], "Cancel" if self._as_lines else "Cancel all", cancel))
        self._box.children = [row.box for row in self._rows]
        return 3 * (len(self._rows) - before) + 1

    def _contents(self, board: Board) -> list[tuple[str, str]]:
        """The HTML of each row, and whether it can be cancelled: `open`, `asked` or `over`."""
        with board.lock:
            if not self._as_lines:
                asked = "asked" if board.is_asked_to_stop else "open"
                return [(board.html(), "over" if board.is_over else asked)]
            return [(html.job_card(line.seen), _cancel_state(line.seen)) for line in board.lines]

    def _bundle(self, board: Board) -> dict[str, Any]:
        words = board.promise()
        view = {"version_major": 2, "version_minor": 0, "model_id": self._box.model_id}
        return {
            "text/plain": words,
            "text/html": html.still_to_tell(words),
            "application/vnd.jupyter.widget-view+json": view,
        }


class _Row:
    """One HTML text with a Cancel button beside it, which goes when there is nothing to cancel any more."""

    def __init__(self, text: str, state: str, label: str, cancel: Callable[[], None]) -> None:
        self._label = label
        self.text = ipywidgets.HTML(text, layout=_layout("text"), style=_style())
        self.button = ipywidgets.Button(description=label, layout=_layout("button"))
        answer_clicks(self.button, cancel)
        self.box = ipywidgets.HBox([self.text, self.button], layout=_layout("row"))
        self._shown, self._state = text, "open"
        self._set_state(state)

    def show(self, text: str, state: str) -> int:
        """Send what has changed; returns how many messages that took."""
        sent = self._set_state(state)
        if text != self._shown:
            self._shown = self.text.value = text
            sent += 1
        return sent

    def _set_state(self, state: str) -> int:
        if state == self._state:
            return 0
        self._state = state
        if state == "over":
            self.box.children = [self.text]
        else:
            with self.button.hold_sync():
                self.button.disabled = state == "asked"
                self.button.description = "Stopping" if state == "asked" else self._label
            if len(self.box.children) == 1:
                self.box.children = [self.text, self.button]
        return 1


def answer_clicks(button: Any, clicked: Callable[[], None]) -> None:
    """Call `clicked` when the button is clicked, while a cell runs too wherever the kernel allows that.

    A kernel reads messages in a thread of its own and hands most of them to the main thread, which a busy cell
    occupies. Since ipykernel 7.4 that thread asks a comm which way its message is to go: there the click is heard. The
    ordinary way stays open beside it, so `clicked` may be called twice for one click.
    """
    button.on_click(lambda _: clicked())
    comm = button.comm
    ask = getattr(comm, "_reply_subshell_for", None)
    if not callable(ask):
        return

    def listen(data: Any, default: Any) -> Any:
        with contextlib.suppress(AttributeError):  # not the message of a widget
            if data.get("method") == "custom" and data.get("content", {}).get("event") == "click":
                clicked()
        return ask(data, default)

    comm._reply_subshell_for = listen  # noqa: SLF001 - guarded above, tested with each kernel, with a fallback


def _cancel_state(job: Any) -> str:
    if job.status.is_final:
        return "over"
    return "open" if job.cancel_requested_at is None else "asked"


def _layout(part: str) -> Any:
    """The layouts are shared by all boards: each would be one more message for each board."""
    if part not in _shared:
        _shared[part] = ipywidgets.Layout(**_LAYOUTS[part])
    return _shared[part]


def _style() -> Any:
    if "style" not in _shared:
        _shared["style"] = ipywidgets.HTML().style
    return _shared["style"]


_LAYOUTS = {
    "box": {"width": "100%"},
    "row": {"width": "100%", "align_items": "flex-start"},
    "text": {"flex": "1 1 0", "min_width": "0", "margin": "0"},
    "button": {"width": "88px", "height": "24px", "margin": "0 0 0 12px", "flex": "0 0 auto"},
}
