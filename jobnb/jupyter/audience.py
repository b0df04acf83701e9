"""`Notebook`: what is plugged into the core's outlet. It puts each new job on the board of its cell."""

from __future__ import annotations

import functools
import logging
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from jobnb.api import default_service
from jobnb.display import html, text
from jobnb.display.overview import overview_html, overview_of, overview_text
from jobnb.errors import JobnbError
from jobnb.jupyter.board import Board
from jobnb.jupyter.pump import Pump
from jobnb.jupyter.remote import Watch
from jobnb.jupyter.views import DocumentView, NoView, TerminalView
from jobnb.threads import start_outside

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobnb.handle import JobHandle
    from jobnb.jupyter.shell import Shell
    from jobnb.jupyter.views import View

_log = logging.getLogger("jobnb")

AT_CELL_END = 100
"""Messages that the end of a cell may send at once; what is left over is said at the end of the next."""
KEPT = 100
"""So many finished boards keep their widgets, for pages that are reloaded; older ones are closed."""


class Notebook:
    """Shows jobs in one IPython shell.

    Args:
        shell: which one.
    """

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._boards: dict[str, Board] = {}
        self._finished: deque[Board] = deque()
        self._unsettled: dict[Board, None] = {}
        self._running: str | None = shell.cell.get("msg_id")
        self._lock = threading.RLock()
        self._watch = Watch()
        self._pump = Pump(self._is_running, self._retire)

    # -- what the core and the user ask for

    def announce(self, handles: Sequence[JobHandle[Any]], display: str) -> None:
        """Show new jobs in the way of the setting `display`; what goes wrong is logged, the jobs go on."""
        try:
            self._place(handles, display, as_table=len(handles) > 1)
        except Exception:
            _log.exception("jobnb: the job is submitted, but can't be shown")

    def show(self, handles: Sequence[JobHandle[Any]]) -> None:
        """Show these jobs under the running cell; nothing if that cell shows them already.

        Raises:
            NotImplementedError: nothing is to be shown here but the `repr`.
        """
        mode = default_service().settings.display
        if mode == "none" or not self._shell.is_kernel:
            raise NotImplementedError("nothing but text is shown here")
        board = self._boards.get(self._key())
        if board is not None and board.has_all(handles):
            return
        if all(handle.state not in ("scheduled", "in_progress") for handle in handles):
            self._show_ended(handles, mode)
        else:
            self._place(handles, mode, as_table=len(handles) > 1)

    # -- what the shell tells

    def cell_begins(self, _info: object = None) -> None:
        """A cell begins to run."""
        self._running = self._shell.cell.get("msg_id")

    def cell_ends(self, _result: object = None) -> None:
        """A cell has run: put into the document what became final meanwhile.

        Tools that run notebooks take messages only from the cell that runs; so this speaks for the cell at hand, about
        the boards of all cells.
        """
        here, self._running = self._running, None
        with self._lock:
            unsettled = list(self._unsettled)
        left = AT_CELL_END
        for board in unsettled:
            with board.lock:
                board.look()
                if board.is_over and left > 0:
                    left -= board.view.settle(board, elsewhere=False)
                    self._unsettled.pop(board, None)
                elif board.cell.get("msg_id") == here:
                    left -= board.view.at_cell_end(board)

    def cleared(self, cell: dict[str, Any]) -> None:
        """A job has cleared the output of its cell: show the card again."""
        board = self._boards.get(cell.get("msg_id", ""))
        if board is not None:
            with board.lock:
                board.view.open(board)

    # -- helpers

    def _place(self, handles: Sequence[JobHandle[Any]], display: str, *, as_table: bool) -> None:
        with self._lock:
            board = self._boards.get(self._key())
            if board is None:
                board = self._new_board(handles, display, as_table)
                new = handles
            else:
                new = board.add(handles, as_table=as_table)
            self._unsettled[board] = None
            self._pump.add(board)
        for handle in new:
            if not handle.is_here:
                self._watch.add(handle)

    def _new_board(self, handles: Sequence[JobHandle[Any]], display: str, as_table: bool) -> Board:
        board = Board(self._shell.cell, self._view(display))
        with board.lock:
            board.add(handles, as_table=as_table)
            board.look()
            board.view.open(board)
        self._boards[self._key()] = board
        return board

    def _is_running(self, board: Board) -> bool:
        return self._running is not None and board.cell.get("msg_id") == self._running

    def _key(self) -> str:
        return str(self._shell.cell.get("msg_id", ""))

    def _view(self, display: str) -> View:
        if display == "none":
            return NoView()
        if not self._shell.is_kernel:
            return TerminalView()
        if display == "widget" or (display == "auto" and self._shell.has_widgets):
            # imported late: it costs more than everything else here
            from jobnb.jupyter.widgets import WidgetView

            return WidgetView(self._shell, self._cancel)
        return DocumentView(self._shell, with_html=display != "text")

    def _show_ended(self, handles: Sequence[JobHandle[Any]], mode: str) -> None:
        jobs = [handle.job for handle in handles]
        if len(jobs) == 1:
            data = {"text/plain": text.job_line(jobs[0]), "text/html": html.job_card(jobs[0])}
        else:
            view = overview_of(jobs)
            data = {"text/plain": overview_text(view), "text/html": overview_html(view)}
        if mode == "text":
            del data["text/html"]
        self._shell.display(data)

    def _cancel(self, board: Board, line: int | None) -> None:
        """A Cancel was clicked. Called in any thread, of the kernel's own too: so the work is done elsewhere."""
        with board.lock:
            if line is None:
                board.is_asked_to_stop = True
                handles = list(board.open)
            else:
                handles = [handle for handle in (board.lines[line].handle,) if handle is not None]
        start_outside(functools.partial(_cancel_all, handles), "jobnb-cancel")

    def _retire(self, board: Board) -> None:
        with self._lock:
            for key in [key for key, value in self._boards.items() if value is board]:
                del self._boards[key]
            self._finished.append(board)
            old = [self._finished.popleft() for _ in range(len(self._finished) - KEPT)]
        for one in old:
            one.view.close()


def _cancel_all(handles: Sequence[JobHandle[Any]]) -> None:
    for handle in handles:
        try:
            handle.cancel()
        except JobnbError as error:
            _log.warning("jobnb: job %s could not be asked to stop: %s", handle.job_id.hex[-8:], error)
