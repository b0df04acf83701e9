"""Lightning: `Trainer(callbacks=[JobProgress()])`, of `lightning` or of `pytorch_lightning`."""

from __future__ import annotations

from typing import Any

try:
    from lightning.pytorch import Callback
except ImportError:  # the package under its older name
    from pytorch_lightning import Callback

from jobnb.callbacks.words import count, joined, metrics
from jobnb.tracking.progress import check_cancelled, progress


class JobProgress(Callback):
    """Reports epochs, batches and what is logged with `prog_bar=True`; stops after a batch if the job is to stop."""

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """A batch of the training is over."""
        del pl_module, outputs, batch
        if not trainer.is_global_zero:
            return
        epoch, epochs = trainer.current_epoch, trainer.max_epochs
        batches = trainer.num_training_batches
        # either limit may be the one that ends the training; -1 is none
        within = (batch_idx + 1) / batches if batches not in (0, float("inf")) else 0.0
        reached = [(epoch + within) / epochs] if epochs and epochs > 0 else []
        if trainer.max_steps > 0:
            reached.append(trainer.global_step / trainer.max_steps)
        told = (
            count("epoch", epoch + 1, epochs if epochs and epochs > 0 else None),
            count("batch", batch_idx + 1, batches),
            metrics(trainer.progress_bar_metrics),
        )
        progress(max(reached) if reached else None, joined(*told))

    def on_validation_batch_end(self, *_: Any, **__: Any) -> None:
        """A batch of a validation is over."""
        check_cancelled()

    def on_test_batch_end(self, *_: Any, **__: Any) -> None:
        """A batch of a test is over."""
        check_cancelled()

    def on_predict_batch_end(self, *_: Any, **__: Any) -> None:
        """A batch of a prediction is over."""
        check_cancelled()
