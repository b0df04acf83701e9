"""rich in a job: `rich.progress.track` and every `Progress`, subclasses included."""

from __future__ import annotations

import functools
import time
from operator import length_hint
from typing import TYPE_CHECKING, Any, TypeVar

from jobnb.tracking.feeds.bars import Bar, current_job

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import ModuleType

    from jobnb.tracking.execution import Execution

T = TypeVar("T")

PAUSE = 0.1
"""Seconds between two looks at the tasks; `advance` may be called a million times a second."""


def patch(module: ModuleType) -> None:
    """Have `rich.progress.Progress` make displays that draw nothing where this is a job."""

    def make(cls: Any, *_: Any, **options: Any) -> Any:
        if current_job() is None or options.get("disable"):
            return object.__new__(cls)
        return object.__new__(_in_job(cls))

    module.Progress.__new__ = staticmethod(make)


@functools.cache
def _in_job(cls: type) -> type:
    return type(cls.__name__, (JobProgress, cls), {"__module__": cls.__module__, "__doc__": cls.__doc__})


_Progress: Any = object
"""Stands for the class that `JobProgress` is mixed into."""


class JobProgress(_Progress):
    """What a `Progress` does differently in a job; mixed into the class that was called."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._execution: Execution | None = current_job()
        self._bars: dict[int, Bar] = {}
        self._next_look = 0.0

    def start(self) -> None:
        """Nothing is drawn, so nothing starts."""

    def stop(self) -> None:
        """Tell how far the tasks came."""
        self._look(ended=True)

    def refresh(self) -> None:
        """Tell the job how far the tasks are."""
        self._look_now_and_then()

    def track(
        self,
        sequence: Iterable[T],
        total: float | None = None,
        completed: int = 0,
        task_id: Any = None,
        description: str = "Working...",
        update_period: float = PAUSE,
    ) -> Iterator[T]:
        """Iterate as rich does, but advance in the loop's own thread, where the job can be stopped."""
        total = total if total is not None else float(length_hint(sequence)) or None
        if task_id is None:
            task_id = self.add_task(description, total=total, completed=completed)
        else:
            self.update(task_id, total=total, completed=completed)
        done, next_look = 0, 0.0
        for value in sequence:
            yield value
            done += 1
            if (now := time.monotonic()) >= next_look:
                next_look = now + min(update_period, PAUSE)
                self.advance(task_id, done)
                done = 0
        self.advance(task_id, done)

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Update a task; stop here if the job is to stop."""
        super().update(*args, **kwargs)
        self._look_now_and_then()

    def advance(self, *args: Any, **kwargs: Any) -> None:
        """Advance a task; stop here if the job is to stop."""
        super().advance(*args, **kwargs)
        self._look_now_and_then()

    def _look_now_and_then(self) -> None:
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + PAUSE
            self._look()
            for bar in list(self._bars.values())[:1]:
                bar.check_stop()

    def _look(self, *, ended: bool = False) -> None:
        if self._execution is None:
            return
        tasks = {task.id: task for task in self.tasks if task.visible}
        for task_id, task in tasks.items():
            bar = self._bars.get(task_id)
            if bar is None:
                bar = self._bars[task_id] = Bar(self._execution)
            bar.label, bar.done, bar.total = _plain(task.description), task.completed, task.total
        for bar in list(self._bars.values())[-1:]:
            bar.tell()
        for task_id in [one for one in self._bars if ended or one not in tasks]:
            self._bars.pop(task_id).close()


def _plain(text: str) -> str:
    """`text` without rich's markup."""
    from rich.errors import MarkupError
    from rich.text import Text

    try:
        return Text.from_markup(text).plain.strip()
    except MarkupError:
        return text
