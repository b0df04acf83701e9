"""XGBoost: `xgboost.train(..., num_boost_round=500, callbacks=[JobProgress(500)])`, or in `XGBClassifier(...)`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xgboost.callback import TrainingCallback

from jobnb.callbacks.words import count, joined, metrics
from jobnb.tracking.progress import progress

if TYPE_CHECKING:
    from collections.abc import Mapping


class JobProgress(TrainingCallback):
    """Reports the rounds and the newest metrics; the training stops after a round if the job is to stop.

    Args:
        rounds: how many there will be (`num_boost_round` or `n_estimators`), which XGBoost does not tell its callbacks;
            None reports a count and no fraction.
    """

    def __init__(self, rounds: int | None = None) -> None:
        super().__init__()
        self.rounds = rounds

    def after_iteration(self, model: Any, epoch: int, evals_log: Mapping[str, Mapping[str, list[Any]]]) -> bool:
        """One round is over; False lets the training go on."""
        del model
        done = epoch + 1
        values = {f"{data} {metric}": log[-1] for data, logs in evals_log.items() for metric, log in logs.items()}
        message = joined(count("round", done, self.rounds), metrics(values))
        progress(done / self.rounds if self.rounds else None, message)
        return False
