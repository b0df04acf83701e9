"""LightGBM: `lightgbm.train(..., callbacks=[JobProgress()])`, `LGBMRegressor().fit(..., callbacks=[JobProgress()])`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobnb.callbacks.words import count, joined, metrics
from jobnb.tracking.progress import progress

if TYPE_CHECKING:
    from lightgbm.callback import CallbackEnv


class JobProgress:
    """Reports the rounds and the newest metrics; the training stops after a round if the job is to stop."""

    order = 15
    """Before early stopping (30), so that its last round is reported too."""
    before_iteration = False

    def __call__(self, env: CallbackEnv) -> None:
        """One round is over."""
        done, total = env.iteration + 1 - env.begin_iteration, env.end_iteration - env.begin_iteration
        # (name of the data, name of the metric, value, ...)
        values = {f"{data} {metric}": value for data, metric, value, *_ in env.evaluation_result_list or ()}
        progress(done / total, joined(count("round", done, total), metrics(values)))
