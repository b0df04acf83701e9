"""Keras 3: `model.fit(..., callbacks=[JobProgress()])`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keras.callbacks import Callback

from jobnb.callbacks.words import count, joined, metrics
from jobnb.tracking.progress import check_cancelled, progress

if TYPE_CHECKING:
    from collections.abc import Mapping


class JobProgress(Callback):
    """Reports epochs, batches and the newest metrics; the training stops after a batch if the job is to stop."""

    def __init__(self) -> None:
        super().__init__()
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """An epoch begins."""
        del logs
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """A batch of the training is over."""
        epochs, steps = self.params.get("epochs"), self.params.get("steps")
        within = (batch + 1) / steps if steps else 0.0
        told = (count("epoch", self._epoch + 1, epochs), count("batch", batch + 1, steps), metrics(logs or {}))
        progress((self._epoch + within) / epochs if epochs else None, joined(*told))

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """An epoch is over, its validation included."""
        epochs = self.params.get("epochs")
        told = joined(count("epoch", epoch + 1, epochs), metrics(logs or {}))
        progress((epoch + 1) / epochs if epochs else None, told)

    def on_test_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """A batch of a validation is over."""
        del batch, logs
        check_cancelled()

    def on_predict_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """A batch of a prediction is over."""
        del batch, logs
        check_cancelled()
