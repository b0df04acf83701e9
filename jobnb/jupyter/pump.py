"""`Pump`: the one thread that brings what is shown up to date. At most five times a second, and never a flood.

A Jupyter server drops everything that comes faster than about a thousand messages a second, without a word, the output
of other cells included. So all boards together send at most `RATE`; what is final is sent for sure, and once more.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from jobnb.jupyter import calm
from jobnb.threads import start_outside
from jobnb.tracking import capture

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobnb.jupyter.board import Board

_log = logging.getLogger("jobnb")

TICK = 0.2
RATE = 100
"""Messages a second, of all boards together."""
TIMES, AGAIN = 2, 1.0
"""How often what is final is sent, in case the first message was dropped, and the seconds between."""


class Pump:
    """Shows boards while their jobs go on.

    Args:
        is_running: tells whether the cell with a given header runs at the moment.
        retire: takes a board that has been shown for the last time.
    """

    def __init__(self, is_running: Callable[[Board], bool], retire: Callable[[Board], None]) -> None:
        self._is_running, self._retire = is_running, retire
        self._boards: deque[_Shown] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def add(self, board: Board) -> None:
        """Show this board from now on; one that is shown already goes on."""
        with self._changed:
            if all(shown.board is not board for shown in self._boards):
                self._boards.append(_Shown(board))
            if self._thread is None:
                self._thread = start_outside(self._run, "jobnb-display")
            self._changed.notify()

    def boards(self) -> list[Board]:
        """Those that are being shown."""
        with self._changed:
            return [shown.board for shown in self._boards]

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._boards:
                    calm.relax()
                    self._changed.wait()
            try:
                calm.quicken()
                capture.install()  # %%capture and others put other streams in place
                self._tick(int(RATE * TICK))
            except Exception:
                _log.exception("jobnb: showing jobs failed; it goes on")
            time.sleep(TICK)

    def _tick(self, allowed: int) -> None:
        with self._changed:
            ended = [shown for shown in self._boards if shown.board.is_over]
            live = [shown for shown in self._boards if not shown.board.is_over]
        # many ends at once must not make a card that moves stand still, nor the other way round
        left = self._show_some(live, allowed // 2 if ended else allowed)
        self._show_some(ended, left + allowed // 2 if live else allowed)

    def _show_some(self, boards: list[_Shown], allowed: int) -> int:
        for shown in boards:
            if allowed <= 0:
                break
            allowed -= self._show(shown)
            with self._changed:
                # whoever had a turn goes to the back: no board waits for ever
                self._boards.remove(shown)
                if not shown.is_finished:
                    self._boards.append(shown)
            if shown.is_finished:
                self._retire(shown.board)
        return max(0, allowed)

    def _show(self, shown: _Shown) -> int:
        try:
            return shown.step(self._is_running)
        except Exception:
            _log.exception("jobnb: showing a job failed; the job goes on, this card does not")
            shown.is_finished = True
            return 0


class _Shown:
    """A board on its way: live, settled in the document, settled once more, finished."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.is_finished = False
        self._next = self._settled_at = 0.0
        self._times_settled = 0

    def step(self, is_running: Callable[[Board], bool]) -> int:
        """Show what there is to show now; returns how many messages that took."""
        now = time.monotonic()
        if now < self._next:
            return 0
        with self.board.lock:
            self.board.look()
            sent = self._reopen() if self._times_settled and not self.board.is_over else 0
            sent += self.board.view.update(self.board)
            if self.board.is_over:
                sent += self._settle(now, is_running(self.board))
        # looking at very many jobs takes a while: then look less often
        self._next = now + max(self.board.view.pause, 20 * (time.monotonic() - now)) - TICK / 2
        return sent

    def _reopen(self) -> int:
        self._times_settled = 0
        return self.board.view.reopen(self.board)

    def _settle(self, now: float, is_running: bool) -> int:
        # a cell that still runs may submit more: wait a moment, a card should not flicker
        due = self._settled_at + AGAIN if self._times_settled else self.board.over_since + (AGAIN if is_running else 0)
        if now < due:
            return 0
        if self._times_settled == TIMES:
            self.is_finished = not is_running
            return 0
        self._times_settled, self._settled_at = self._times_settled + 1, now
        return self.board.view.settle(self.board, elsewhere=True)
