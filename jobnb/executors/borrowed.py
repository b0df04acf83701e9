"""`Borrowed`: an executor that the caller brought, as a place where jobs run."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Protocol

from jobnb.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable


class Executor(Protocol):
    """What jobnb asks of an executor: `submit` and the future's `add_done_callback`, of `concurrent.futures`."""

    def submit(self, fn: Callable[..., Any], /, *args: Any) -> Any:
        """Run `fn(*args)` some time; give a future."""


class Borrowed:
    """An executor that the caller brought, and owns: jobnb never shuts it down. It has to run in this process."""

    def __init__(self, executor: Executor) -> None:
        if isinstance(executor, type) or not callable(getattr(executor, "submit", None)):
            raise ConfigurationError(
                f"executor is {executor!r:.80}: give an object with submit(), such as ThreadPoolExecutor(4)"
            )
        processes = sys.modules.get("concurrent.futures.process")
        if processes is not None and isinstance(executor, processes.ProcessPoolExecutor):
            raise ConfigurationError(
                "executor is a ProcessPoolExecutor: jobs that leave this process are not supported yet; give a "
                "ThreadPoolExecutor, or call the process pool in the job's own function"
            )
        self._executor = executor
        self.name = type(executor).__name__

    def start(self, task: Callable[[], None], failed: Callable[[str], None]) -> None:
        """Hand one task over; `failed` is called with words if the executor never ran it."""
        try:
            future = self._executor.submit(task)
        except Exception as error:
            failed(f"the executor {self.name} refused the job: {type(error).__name__}: {error}")
            return
        future.add_done_callback(lambda done: self._look(done, failed))

    def _look(self, future: Any, failed: Callable[[str], None]) -> None:
        if future.cancelled():
            failed(f"the executor {self.name} cancelled the job before it started")
        elif (error := future.exception()) is not None:
            failed(
                f"the executor {self.name} could not run the job: {type(error).__name__}: {error}"
                " (executors that run jobs in other processes are not supported yet)"
            )
