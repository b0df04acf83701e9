"""Daemon threads: one that belongs to no job, and a pool of them that costs little per task.

`ThreadPoolExecutor` joins its threads when the interpreter leaves and runs everything still queued first (its exit
hook can't be avoided), and spends most of a short task on a `Future` with a condition of its own. Here a task is
whatever the pool's one function takes; whoever wants an answer brings the means.
"""

from __future__ import annotations

import contextvars
import logging
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_log = logging.getLogger("jobnb")


def start_outside(work: Callable[[], object], name: str) -> threading.Thread:
    """Start a thread that belongs to no job, even if a job's code starts it: else it would keep that job for ever."""
    thread = threading.Thread(target=work, name=name, daemon=True)
    contextvars.Context().run(thread.start)
    return thread


class DaemonPool(Generic[T]):
    """Runs tasks in up to `size` threads; each of the first `size` tasks starts one.

    Args:
        size: at least 1.
        name: what the threads are called, with a number behind it.
        run: called with each task, in one of the threads. What it raises is logged; it should raise nothing.
        rest: called before a thread waits for the next task. It must raise nothing.
    """

    def __init__(
        self, size: int, name: str, run: Callable[[T], object], rest: Callable[[], object] = lambda: None
    ) -> None:
        self._size, self._name, self._run, self._rest = size, name, run, rest
        self._tasks: SimpleQueue[T | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._told = False
        self._lock = threading.RLock()  # a destructor may submit a job in the midst of it

    def add(self, task: T) -> None:
        """Queue one task."""
        self._tasks.put(task)
        if len(self._threads) < self._size:
            self._grow()

    def has_tasks(self) -> bool:
        """True while tasks wait for a thread."""
        return not self._tasks.empty()

    def close(self) -> None:
        """Let the threads end when the queue is empty; does not wait for them."""
        for _ in self._threads:
            self._tasks.put(None)

    def _grow(self) -> None:
        with self._lock:
            if len(self._threads) < self._size:
                name = f"{self._name}-{len(self._threads) + 1}"
                try:
                    # an interrupt in the midst of this: rather one thread too many than too few
                    self._threads.append(start_outside(self._work, name))
                except RuntimeError as error:
                    if not self._threads:
                        raise
                    # the task is queued, and has threads that will take it: who brought it must not take it for refused
                    self._tell_of_few(error)

    def _tell_of_few(self, error: RuntimeError) -> None:
        if not self._told:  # once
            _log.warning("jobnb: %s: %s goes on with %s threads instead of %s",
                         error, self._name, len(self._threads), self._size)  # fmt: skip
        self._told = True

    def _work(self) -> None:
        tasks, run = self._tasks, self._run
        while True:
            if tasks.empty():
                self._rest()
            if (task := tasks.get()) is None:
                return
            try:
                run(task)
            except BaseException:
                _log.exception("jobnb: a task of the thread pool %s raised", self._name)
            del task
