"""`Intake`: takes events from any thread, in an order that holds from then on, and keeps them safe in the spool."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from threading import get_ident
from typing import TYPE_CHECKING, NoReturn

from jobnb.errors import ServiceClosed
from jobnb.recorder.spool import Spool, sync_and_close

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from jobnb.recorder.events import AnyEvent

_log = logging.getLogger("jobnb")

Follower = Callable[[], Callable[[], object] | None]
"""What is called when an event is safe; see `Intake.put`."""

GATHER = 0.002
"""Seconds between two writes to the spool while short jobs end one after the other."""


class Intake:
    """The door through which every automatic record comes; behind it one thread takes them on, see `Recorder`.

    Args:
        folder: for the spool.
        kernel_id: whose events these are.
        on_events: called when there are new ones in `incoming`.
        on_gather: called when an event waits for a common write; sees to it that `write_gathered` is called soon.

    Attributes:
        incoming: events that are in the spool, and on their way to whoever takes them out here: the number of the last
            one of some, and these.
        last: the number of the last event.
        has_failed: some events are not in the spool, but in memory only.
    """

    def __init__(
        self, folder: Path, kernel_id: str, on_events: Callable[[], object], on_gather: Callable[[], object]
    ) -> None:
        self._spool = Spool(folder, kernel_id)
        self._on_events, self._on_gather = on_events, on_gather
        self._brought: deque[tuple[Sequence[AnyEvent], Follower | None]] = deque()
        self._batch: list[AnyEvent] = []
        self.incoming: deque[tuple[int, list[AnyEvent]]] = deque()
        self._followers: deque[Follower] = deque()
        self._taker: int | None = None
        self._lock, self._mending = threading.Lock(), threading.Lock()
        self.last = self._handed = 0
        self._gathers_until = 0.0
        self.has_failed = self._closed = self._forked = False

    @property
    def is_shut(self) -> bool:
        """True after `close` or `forget`: nothing is taken any more."""
        return self._closed or self._forked

    @property
    def path(self) -> Path:
        """The file that is being written."""
        return self._spool.path

    @property
    def is_mine(self) -> bool:
        """True if this very thread is in the midst of taking events in; then it must not wait for them."""
        return self._taker == get_ident()

    def put(self, event: AnyEvent, then: Follower | None = None, *, may_wait: bool = False) -> None:
        """Record one event without waiting for other threads, and call `then` when it is in the spool.

        Threads combine: whoever writes to the spool at the moment takes along what the others have brought meanwhile,
        and calls their `then` too. A thread of a job hardly ever waits for another one's write. After an interrupt
        (see `mend`) `then` may be called twice.

        Args:
            event: what happened.
            then: called when it is safe. What takes longer, the user's own code above all, it returns: that is called
                when all whose events became safe with this one have been told.
            may_wait: let it wait for a write that takes many along, milliseconds later: until then nobody is told
                that it happened. A write costs as much as a short job.

        Raises:
            ServiceClosed: after `close`, or in a forked child, which must not write as its parent.
        """
        if self._closed or self._forked:
            self._refuse()
        self._brought.append(((event,), then))
        if may_wait and time.monotonic() < self._gathers_until:
            self._on_gather()
            return
        while self._brought and not self._lock.locked():
            self._take_along()
        if may_wait:
            # the writing thread may wait for the interpreter; who gives it up just for a write takes it back before
            # another thread has woken, and so never lets it in (measured: for a tenth of a second)
            time.sleep(0)

    def put_all(self, events: Sequence[AnyEvent]) -> None:
        """Record events; returns when they are in the spool, microseconds later.

        Raises:
            ServiceClosed: after `close`, or in a forked child.
        """
        if self._closed or self._forked:
            self._refuse()
        self._brought.append((events, None))
        self._take_along()
        if self._brought:
            self._combine()

    def bring(self, events: Sequence[AnyEvent]) -> None:
        """Leave events here without waiting for anybody; whoever is next to write takes them along.

        Raises:
            ServiceClosed: after `close`, or in a forked child.
        """
        if self._closed or self._forked:
            self._refuse()
        self._brought.append((events, None))

    def mend(self) -> None:
        """Finish what an interrupted thread left undone.

        Ctrl-C raises KeyboardInterrupt between any two steps of the main thread, in the middle of `put_all` too, where
        that thread may have the events of others in its hands. So what is under way is kept in this object, each step
        can be done twice, and whoever is next to write goes on from there: the caretaker, in a fraction of a second.
        """
        self._take_along()
        self._combine()
        if not self._mending.acquire(blocking=False):
            return  # another thread is at it
        try:
            while self._followers:
                followers = list(self._followers)
                _tell(followers)
                # only now: an interrupt before this has them told again, and loses none
                for _ in followers:
                    self._followers.popleft()
        finally:
            self._mending.release()

    def write_gathered(self) -> None:
        """Write what waits for others to come."""
        if self._brought:
            self._combine()

    def _combine(self) -> None:
        """Take along what was brought while nobody could; every holder of the lock does so after giving it back."""
        while self._brought and not self._lock.locked():
            self._take_along()

    def _take_along(self) -> None:
        """Write what all threads have brought, and tell them."""
        if self._taker == (me := get_ident()):
            return  # a destructor or a signal handler, run in the midst of this: its event is taken along
        followers: list[Follower] = []
        try:
            with self._lock:
                self._taker = me
                try:
                    batch, brought = self._batch, self._brought
                    while brought:
                        events, then = brought[0]
                        batch += events
                        if then is not None:
                            followers.append(then)
                        brought.popleft()
                    if batch:
                        self._hand_over(batch)
                finally:
                    self._taker = None
            if self.incoming:
                self._on_events()
            _tell(followers)
        except BaseException:
            self._followers.extend(followers)
            raise

    def _hand_over(self, batch: list[AnyEvent]) -> None:
        """Give events to the spool and to the writing thread; with the lock held."""
        self.last = sequence = self._handed + len(batch)
        try:
            self._spool.append(batch, sequence)
        except Exception as error:
            # jobs matter more than their insurance: go on in memory
            self._tell_of_spool(error)
        self.incoming.append((sequence, batch))
        self._handed, self._batch = sequence, []
        self._gathers_until = time.monotonic() + GATHER

    def take_all(self) -> None:
        """Take in what has been brought so far; also waits for whoever holds events in his hands."""
        self._take_along()
        self._combine()

    def shut(self) -> None:
        """Take nothing more."""
        self._closed = True

    def close(self, *, is_empty: bool) -> None:
        """Close the spool, and delete it if everything in it is in the database."""
        with self._lock:
            self._spool.close(is_empty=is_empty)

    def forget(self) -> None:
        """After a fork, in the child: events are the parent's business."""
        self._forked = True
        self._spool.forget()

    # -- the file

    def keep_safe(self) -> None:
        """Bring what is in the spool to the disk itself."""
        try:
            with self._lock:
                sealed = self._spool.seal(self.last)
            self._combine()
            if sealed is not None:
                sync_and_close(sealed)
        except OSError as error:
            _log.warning("jobnb: can't sync the spool %s: %s", self._spool.path, error)

    def keep_in_place(self) -> None:
        """Bring the spool back if somebody deleted it."""
        with self._lock:
            try:
                if self._spool.restore():
                    _log.warning("jobnb: the spool %s was deleted; it is there again", self._spool.path)
            except OSError as error:
                self._tell_of_spool(error)
        self._combine()

    def trim(self, written: int, *, at_least: int) -> None:
        """Drop the events up to number `written` from the spool, if it has more than `at_least` bytes."""
        if self._spool.size <= at_least:
            return
        with self._lock, contextlib.suppress(OSError):
            self._taker = get_ident()
            try:
                self._spool.acknowledge(written, is_last=written == self.last)
            finally:
                self._taker = None
        self._combine()

    # -- helpers

    def _refuse(self) -> NoReturn:
        if self._forked:
            raise ServiceClosed("this process was forked from one that uses jobnb: start jobs in the parent")
        raise ServiceClosed("jobnb is closed in this process: it takes no more jobs")

    def _tell_of_spool(self, error: Exception) -> None:
        if not self.has_failed:  # once
            _log.warning("jobnb: can't write the spool %s (%s): jobs go on, but what is not in the database yet would "
                         "be lost with this process", self._spool.path, error)  # fmt: skip
        self.has_failed = True


def _tell(followers: list[Follower]) -> None:
    """All of them first, and only then what they have called behind that."""
    later = [more for then in followers if (more := then()) is not None]
    for more in later:
        more()
