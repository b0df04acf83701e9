"""Hugging Face transformers: `Trainer(..., callbacks=[JobProgress()])`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback

from jobnb.callbacks.words import count, joined, metrics
from jobnb.tracking.progress import check_cancelled, progress

if TYPE_CHECKING:
    from collections.abc import Mapping


class JobProgress(TrainerCallback):
    """Reports the steps and what was logged last; the training stops after a step if the job is to stop."""

    def __init__(self) -> None:
        self._logged = ""

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **_: Any) -> None:
        """The trainer logs its metrics."""
        del args, state, control
        self._logged = metrics(logs or {})

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """A step of the training is over."""
        del args, control
        done, total = state.global_step, state.max_steps
        told = joined(count("step", done, total if total > 0 else None), self._logged)
        progress(done / total if total > 0 else None, told)

    def on_substep_end(self, *_: Any, **__: Any) -> None:
        """A part of a step with accumulated gradients is over."""
        check_cancelled()

    def on_prediction_step(self, *_: Any, **__: Any) -> None:
        """A step of an evaluation is over."""
        check_cancelled()
