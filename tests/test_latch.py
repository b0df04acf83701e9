"""Waiting for what is set once: interrupts and signal handlers in the midst of it hold nobody up."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Any

import pytest

from jobnb.latch import Latch


def test_all_who_wait_are_let_through_and_whoever_comes_later_does_not_wait() -> None:
    latch, through = Latch(), list[bool]()
    waiting = [threading.Thread(target=lambda: through.append(latch.wait())) for _ in range(5)]
    for thread in waiting:
        thread.start()
    assert not latch.wait(0.01)
    latch.set()
    latch.set()
    for thread in waiting:
        thread.join(20)
    assert through == [True] * 5
    assert latch.is_set()
    began = time.monotonic()
    assert latch.wait(20)
    assert time.monotonic() - began < 5


class InterruptedGate:
    """A lock, and an interrupt as soon as somebody has it."""

    def __init__(self, lock: Any) -> None:
        self.acquire, self.release = self._interrupted, lock.release
        self._lock = lock

    def _interrupted(self, timeout: float) -> bool:
        if self._lock.acquire(timeout=timeout):
            raise KeyboardInterrupt
        return False


def test_an_interrupt_of_one_who_waits_keeps_neither_the_others_nor_the_one_who_sets_it() -> None:
    latch, through = Latch(), list[bool]()
    waiting = threading.Thread(target=lambda: through.append(latch.wait()))
    latch._gate = InterruptedGate(latch._gate)  # type: ignore[assignment] # a lock for its purpose
    threading.Timer(0.1, latch.set).start()
    with pytest.raises(KeyboardInterrupt):
        latch.wait()
    latch._gate = latch._gate._lock  # type: ignore[attr-defined]
    waiting.start()
    waiting.join(20)
    latch.set()
    assert through == [True]


def test_an_interrupt_in_the_midst_of_waiting_for_a_job_leaves_nothing_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    from test_interrupts import end, mapped_jobs

    mapped = mapped_jobs(1)
    execution = mapped.next()
    assert execution is not None

    def enter(condition: Any) -> Any:
        condition._lock.__enter__()
        raise KeyboardInterrupt  # Ctrl-C may come between these two lines of Python's own

    monkeypatch.setattr(threading.Condition, "__enter__", enter)
    for wait in (mapped.over.wait, execution.wait):
        with contextlib.suppress(KeyboardInterrupt):
            wait(0.01)
    monkeypatch.undo()
    end(execution)
    ending = threading.Thread(target=lambda: (mapped.ended(execution), execution.finish()), daemon=True)
    ending.start()
    ending.join(10)
    assert not ending.is_alive()
