"""`Threads`: jobnb's own threads, where jobs run unless the caller brings an executor (`borrowed`)."""

from __future__ import annotations

from threading import get_ident
from typing import TYPE_CHECKING

from jobnb.threads import DaemonPool
from jobnb.tracking.mapped import MappedJobs

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobnb.tracking.execution import Execution


class Threads(DaemonPool["Execution | MappedJobs"]):
    """Threads of this process: the default. A task is a job, or all those of a `map` that have not begun.

    A thread that takes a `map` hands it on before it runs one of its jobs, so that as many threads as there are run
    them. While they take microseconds it keeps it: threads that take turns at the interpreter's lock would be slower
    than one, and the thread that writes to the database would wait behind all of them (measured: two thirds of the
    time of a map of short functions). Should one of them take longer, `look_after` hands the others on.

    Args:
        workers: how many jobs run at once, at least 1.
        run: runs a job to its end, and raises nothing; is told whether another one follows in the same thread.
        rest: called before a thread waits for a task; raises nothing.
        wake: called when `look_after` has to be called from now on, until it returns False.
    """

    def __init__(
        self,
        workers: int,
        run: Callable[[Execution, Callable[[], bool]], object],
        rest: Callable[[], object],
        wake: Callable[[], object],
    ) -> None:
        super().__init__(workers, "jobnb-job", self._run_task, rest)
        self._run_job, self._wake = run, wake
        self._keeping: dict[int, Execution | None] = {}
        self._seen: dict[int, Execution | None] = {}

    def _run_task(self, task: Execution | MappedJobs) -> None:
        if isinstance(task, MappedJobs):
            self._run_mapped(task)
        else:
            self._run_job(task, self.has_tasks)

    def _run_mapped(self, mapped: MappedJobs) -> None:
        try:
            self._run_some(mapped)
        except BaseException:
            self._hand_on(mapped)  # a fault of ours must not cost the others their turn
            raise
        finally:
            self._keeping[get_ident()] = None

    def _run_some(self, mapped: MappedJobs) -> None:
        me, keeping = get_ident(), self._keeping
        while (execution := mapped.next()) is not None:
            if not mapped.are_quick:
                keeping[me] = None
                self._hand_on(mapped)
                self._run_job(execution, self.has_tasks)
                return
            keeping[me] = execution
            self._wake()
            self._run_job(execution, mapped.has_more)
            if keeping[me] is not execution:
                return  # the others were handed on

    def _hand_on(self, mapped: MappedJobs) -> None:
        if mapped.has_more():
            self.add(mapped)

    def look_after(self) -> bool:
        """Hand on what a thread keeps that has not come further since the last call; True if some keep something.

        Several threads may call it at the same time.
        """
        for thread, execution in list(self._keeping.items()):
            if execution is not None and self._seen.get(thread) is execution:
                self._keeping[thread] = None
                mapped = execution.mapped
                assert mapped is not None
                mapped.slow_down()  # or the next thread would keep it too, and each further one begin a beat later
                # should the thread have come further at this very moment: two threads may run a map at once
                self._hand_on(mapped)
            self._seen[thread] = self._keeping[thread]
        # what was seen, not what is kept by now: it is to be forgotten too
        return any(self._seen.values())
