"""A pool of daemon threads that costs little per task.

`ThreadPoolExecutor` joins its threads when the interpreter leaves and runs everything still queued first (its exit
hook can't be avoided), and spends most of a short task on a `Future` with a condition of its own. Here a task is
whatever the pool's one function takes; whoever wants an answer brings the means.
"""

from __future__ import annotations

import logging
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")

_log = logging.getLogger("jobnb")


class DaemonPool(Generic[T]):
    """Runs tasks in up to `size` threads; each of the first `size` tasks starts one.

    Args:
        size: at least 1.
        name: what the threads are called, with a number behind it.
        run: called with each task, in one of the threads. What it raises is logged; it should raise nothing.
    """

    def __init__(self, size: int, name: str, run: Callable[[T], object]) -> None:
        self._size, self._name, self._run = size, name, run
        self._tasks: SimpleQueue[T | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._lock = threading.RLock()  # a destructor may submit a job in the midst of it

    def add(self, task: T) -> None:
        """Queue one task."""
        self._tasks.put(task)
        if len(self._threads) < self._size:
            self._grow(1)

    def add_all(self, tasks: Sequence[T]) -> None:
        """Queue many tasks."""
        for task in tasks:
            self._tasks.put(task)
        if len(self._threads) < self._size:
            self._grow(len(tasks))

    def close(self) -> None:
        """Let the threads end when the queue is empty; does not wait for them."""
        for _ in self._threads:
            self._tasks.put(None)

    def _grow(self, wanted: int) -> None:
        with self._lock:
            for number in range(len(self._threads) + 1, min(self._size, len(self._threads) + wanted) + 1):
                thread = threading.Thread(target=self._work, name=f"{self._name}-{number}", daemon=True)
                thread.start()
                self._threads.append(thread)  # an interrupt before this: rather one thread too many than too few

    def _work(self) -> None:
        tasks, run = self._tasks, self._run
        while (task := tasks.get()) is not None:
            try:
                run(task)
            except BaseException:
                _log.exception("jobnb: a task of the thread pool %s raised", self._name)
            del task
