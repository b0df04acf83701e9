"""scikit-learn 1.9 and later: `estimator.set_callbacks(JobProgress())`, then `fit` in a job.

Its callbacks are experimental, and only some estimators call them (pipelines, searches, logistic regression). Where
`n_jobs` sends fits to other processes, what happens there is not seen here; scikit-learn's own `ProgressBar` sees it,
and a job follows that like any bar of rich.

In other estimators and versions a fit is one call that can't be looked into. Make it several: `jobnb.track` over folds
or parameters, or over `n_estimators` with `warm_start=True`.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from jobnb.callbacks.words import count, joined
from jobnb.tracking.progress import check_cancelled, progress

if TYPE_CHECKING:
    from sklearn.callback import CallbackContext

    Path = tuple[int, ...]

_lock = threading.Lock()


class JobProgress:
    """Reports the tasks of a fit; the fit stops after a task if the job is to stop.

    Args:
        max_propagation_depth: how deep in nested estimators tasks are followed; None for all of them.
    """

    def __init__(self, max_propagation_depth: int | None = 1) -> None:
        self.max_propagation_depth = max_propagation_depth
        # by the fit it belongs to: how far each task is, in [0, 1], and how many of its subtasks have ended
        self._reached: dict[Any, dict[Path, float]] = {}
        self._ended: dict[Any, dict[Path, int]] = {}

    def setup(self, estimator: Any, context: CallbackContext) -> None:
        """A fit begins."""
        del estimator
        self._reached[context.root_uuid], self._ended[context.root_uuid] = {}, {}

    def teardown(self, estimator: Any, context: CallbackContext) -> None:
        """The fit is over."""
        del estimator
        self._reached.pop(context.root_uuid, None)
        self._ended.pop(context.root_uuid, None)

    def on_fit_task_begin(self, estimator: Any, context: CallbackContext) -> None:
        """A task of the fit begins."""
        del estimator, context
        check_cancelled()

    def on_fit_task_end(self, estimator: Any, context: CallbackContext) -> None:
        """A task of the fit is over."""
        del estimator
        line = _line(context)
        with _lock:
            fraction, ended = self._advance(context, [one.task_id for one in line])
        # a task without parts says nothing that its parent's count does not say
        told = [count(_name(one), done, one.max_subtasks) for one, done in zip(line, ended, strict=True)]
        progress(fraction, joined(*(told[:-1] or told)))

    def _advance(self, context: CallbackContext, path: list[int]) -> tuple[float | None, list[int]]:
        """Count a task as ended; how far the whole fit is, and how many subtasks have ended at each depth."""
        reached = self._reached.setdefault(context.root_uuid, {})
        ended = self._ended.setdefault(context.root_uuid, {})
        whole = tuple(path)
        gained = 1.0 - reached.get(whole, 0.0)
        reached[whole] = 1.0
        ended[whole[:-1]] = ended.get(whole[:-1], 0) + 1
        above = context.parent
        for depth in range(len(path) - 1, 0, -1):
            gained = gained / above.max_subtasks if above.max_subtasks else 0.0
            reached[whole[:depth]] = min(1.0, reached.get(whole[:depth], 0.0) + gained)
            above = above.parent
        return reached.get(whole[:1]), [ended.get(whole[: depth + 1], 0) for depth in range(len(path))]


def _line(context: CallbackContext) -> list[CallbackContext]:
    """The task and those that it is a part of, the whole fit first."""
    line = [context]
    while line[0].parent is not None:
        line.insert(0, line[0].parent)
    return line


def _name(context: CallbackContext) -> str:
    return str(context.estimator_name if context.task_name == "fit" else context.task_name)
