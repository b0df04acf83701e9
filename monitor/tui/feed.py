"""Threads that ask the source for one thing again and again, and post what they read."""

from __future__ import annotations

import contextvars
import threading
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from jobnb.errors import JobnbError
from monitor.tui.messages import ReadFailed, ThreadBroke

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from textual.message import Message

    from monitor.model import Detail, JobRow, LogPage, Mark, View

Wish = TypeVar("Wish")


class WindowWish(NamedTuple):
    """Which lines of which list are wanted.

    Attributes:
        view: the list.
        first: the first line.
        lines: how many of them.
        anchor: the place of the first line, where the list has to stay put.
    """

    view: View
    first: int
    lines: int
    anchor: Mark | None


class DetailWish(NamedTuple):
    """Which job is wanted.

    Attributes:
        job_id: the job.
        known: what was read of it last, where only changes matter; None to read it whole.
        log_after: the number of the last log line that is known; None if none is.
    """

    job_id: UUID
    known: JobRow | None
    log_after: int | None


class DetailRead(NamedTuple):
    """What was read about a job.

    Attributes:
        wish: what was wanted.
        detail: the job; None if it is gone.
        log: the lines that came to its log.
    """

    wish: DetailWish
    detail: Detail | None
    log: LogPage


class Feed(Generic[Wish]):
    """A thread of its own for one kind of wish.

    It reads, posts, and waits until its time has come or the wish changes. It is a daemon of its own and not one of
    Textual's workers, because it lives as long as its screen, and a read that hangs must not keep the program open.
    """

    def __init__(
        self,
        name: str,
        read: Callable[[Wish], Message | None],
        post: Callable[[Message], object],
        pause: Callable[[], float | None],
    ) -> None:
        """Make a feed; `start` starts it.

        Args:
            name: what it reads, for the thread's name and for failures.
            read: reads what is wished, in the thread; gives the message to post, if there is one.
            post: posts it; must be safe to call from a thread.
            pause: seconds until the next look; None to look only when told to.
        """
        self.name = name
        self._read, self._post, self._pause = read, post, pause
        self._wish: Wish | None = None
        self._wake = threading.Event()
        self._stopped = False

    def start(self) -> None:
        """Begin. The thread knows the program that starts it, as Textual's own workers do."""
        run = contextvars.copy_context().run
        threading.Thread(target=run, args=(self._run,), name=f"monitor-{self.name}", daemon=True).start()

    def stop(self) -> None:
        """Read nothing more; what is being read is not posted any more."""
        self._stopped = True
        self._wake.set()

    @property
    def wish(self) -> Wish | None:
        """What is wanted now."""
        return self._wish

    def want(self, wish: Wish | None, *, now: bool = True) -> None:
        """Say what to read from now on; None to rest.

        Args:
            wish: what is wanted.
            now: False to wait for the next look.
        """
        self._wish = wish
        if now:
            self._wake.set()

    def look(self) -> None:
        """Read at once, whatever there was to wait for."""
        self._wake.set()

    def _run(self) -> None:
        while not self._stopped:
            self._wake.clear()
            wish = self._wish
            message = None if wish is None else self._answer(wish)
            if message is not None:
                self._tell(message)
            self._wake.wait(None if self._wish is None else self._pause())

    def _answer(self, wish: Wish) -> Message | None:
        try:
            return self._read(wish)
        except JobnbError as error:
            return ReadFailed(self.name, error)
        except Exception as error:  # ours: the program shows it and ends
            self._tell(ThreadBroke(error))
            self._stopped = True
            return None

    def _tell(self, message: Message) -> None:
        if self._stopped:
            return
        try:
            self._post(message)
        except RuntimeError:  # the program's loop is closed: it ended while this was being read
            self._stopped = True
