"""Callbacks of machine learning libraries report a training's progress, and stop it.

lightgbm, xgboost and scikit-learn are the real ones. The heavy libraries are doubles of their documented interfaces.
"""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable, Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import lightgbm
import numpy as np
import pytest
import xgboost
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import jobnb
import jobnb.callbacks.lightgbm
import jobnb.callbacks.sklearn
import jobnb.callbacks.xgboost

RANDOM = np.random.default_rng(7)
X = RANDOM.normal(size=(60, 3))
Y = (X[:, 0] > 0).astype(int)

Seen = list[tuple[float | None, str | None]]


@pytest.fixture(autouse=True)
def _client(client: str) -> None:
    pass


def run(train: Callable[[], object], monkeypatch: pytest.MonkeyPatch, module: Any) -> Seen:
    """Run a training as a job; what it reported, step by step."""
    seen: Seen = []
    report = module.progress

    def note(fraction: float | None, message: str = "") -> None:
        report(fraction, message)
        seen.append((None if fraction is None else round(fraction, 4), message))

    monkeypatch.setattr(module, "progress", note)
    job = jobnb.submit(train)
    job.result(30)
    # the newest report is the job's own
    assert job.job.progress_message == seen[-1][1]
    return seen


def stops(train: Callable[[], object]) -> bool:
    """Whether cancelling stops the training."""
    job = jobnb.submit(train)
    while not job.progress:
        assert not job.done(), job.exception()
        time.sleep(0.01)
    job.cancel()
    return job.wait(10) and job.job.state == "cancelled"


def boost(rounds: int) -> Callable[[], object]:
    data = lightgbm.Dataset(X, Y)
    parameters = {"objective": "binary", "verbose": -1, "num_threads": 1, "min_data_in_leaf": 2}
    callback = jobnb.callbacks.lightgbm.JobProgress()
    return lambda: lightgbm.train(
        parameters, data, rounds, valid_sets=[data], valid_names=["fit"], callbacks=[callback]
    )


def test_lightgbm_reports_rounds_and_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = run(boost(4), monkeypatch, jobnb.callbacks.lightgbm)
    assert [fraction for fraction, _ in seen] == [0.25, 0.5, 0.75, 1.0]
    assert str(seen[1][1]).startswith("round 2/4 · fit binary_logloss=0.")


def test_lightgbm_stops() -> None:
    assert stops(boost(10**6))


def test_lightgbm_in_its_scikit_learn_clothes(monkeypatch: pytest.MonkeyPatch) -> None:
    model = lightgbm.LGBMClassifier(n_estimators=3, verbose=-1, n_jobs=1)
    callback = jobnb.callbacks.lightgbm.JobProgress()
    seen = run(lambda: model.fit(X, Y, callbacks=[callback]), monkeypatch, jobnb.callbacks.lightgbm)
    assert [message for _, message in seen] == ["round 1/3", "round 2/3", "round 3/3"]


def grow(rounds: int, told: int | None) -> Callable[[], object]:
    data = xgboost.DMatrix(X, Y)
    callback = jobnb.callbacks.xgboost.JobProgress(told)
    parameters = {"objective": "binary:logistic", "nthread": 1}
    return lambda: xgboost.train(
        parameters, data, rounds, evals=[(data, "fit")], verbose_eval=False, callbacks=[callback]
    )


def test_xgboost_reports_rounds_and_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = run(grow(4, 4), monkeypatch, jobnb.callbacks.xgboost)
    assert [fraction for fraction, _ in seen] == [0.25, 0.5, 0.75, 1.0]
    assert str(seen[1][1]).startswith("round 2/4 · fit logloss=0.")


def test_xgboost_without_a_number_of_rounds_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = run(grow(2, None), monkeypatch, jobnb.callbacks.xgboost)
    assert seen[0][0] is None
    assert str(seen[0][1]).startswith("round 1 · fit logloss=0.")


def test_xgboost_stops() -> None:
    assert stops(grow(10**6, 10**6))


def test_xgboost_in_its_scikit_learn_clothes(monkeypatch: pytest.MonkeyPatch) -> None:
    model = xgboost.XGBClassifier(n_estimators=2, n_jobs=1, callbacks=[jobnb.callbacks.xgboost.JobProgress(2)])
    seen = run(lambda: model.fit(X, Y), monkeypatch, jobnb.callbacks.xgboost)
    assert [message for _, message in seen] == ["round 1/2", "round 2/2"]


def search() -> Any:
    steps = make_pipeline(StandardScaler(), LogisticRegression(max_iter=200))
    return GridSearchCV(steps, {"logisticregression__C": [0.1, 1.0]}, cv=2)


def test_scikit_learn_reports_the_tasks_of_a_search(monkeypatch: pytest.MonkeyPatch) -> None:
    model = search()
    model.set_callbacks(jobnb.callbacks.sklearn.JobProgress())
    seen = run(lambda: model.fit(X, Y), monkeypatch, jobnb.callbacks.sklearn)
    fractions = [fraction for fraction, _ in seen]
    assert fractions == sorted(fractions)  # type: ignore[type-var]
    assert fractions[-1] == 1.0
    assert (0.125, "GridSearchCV 0/2 · search 1/4") in seen
    assert (0.1875, "GridSearchCV 0/2 · search 1/4 · Pipeline 1/2") in seen
    assert (0.5, "GridSearchCV 1/2") in seen


def test_scikit_learn_reports_iterations(monkeypatch: pytest.MonkeyPatch) -> None:
    model = LogisticRegression(max_iter=50)
    model.set_callbacks(jobnb.callbacks.sklearn.JobProgress())
    seen = run(lambda: model.fit(X, Y), monkeypatch, jobnb.callbacks.sklearn)
    assert str(seen[0][1]).startswith("LogisticRegression 1/5")
    assert seen[-1] == (1.0, seen[-2][1])


def test_scikit_learn_stops() -> None:
    def train() -> None:
        while True:
            model = search()
            model.set_callbacks(jobnb.callbacks.sklearn.JobProgress())
            model.fit(X, Y)

    assert stops(train)


def test_scikit_learns_own_bar_is_followed() -> None:
    callback = pytest.importorskip("sklearn.callback").ProgressBar()
    model = search()
    model.set_callbacks(callback)
    job = jobnb.submit(lambda: model.fit(X, Y))
    job.result(30)
    assert job.progress == 1.0
    assert "GridSearchCV" in str(job.job.progress_message)


def test_outside_of_jobs_they_do_nothing() -> None:
    boost(2)()
    grow(2, 2)()
    model = search()
    model.set_callbacks(jobnb.callbacks.sklearn.JobProgress())
    model.fit(X, Y)


# -- doubles of the heavy libraries


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str, str], Any]]:
    """Make a module with one base class, as far as the callback needs it, and import the callback's file over it."""

    def make(ours: str, library: str, base: str) -> Any:
        parts = library.split(".")
        for depth in range(1, len(parts) + 1):
            monkeypatch.setitem(sys.modules, ".".join(parts[:depth]), ModuleType(".".join(parts[:depth])))
        setattr(sys.modules[library], base, type(base, (), {}))
        monkeypatch.delitem(sys.modules, f"jobnb.callbacks.{ours}", raising=False)
        return importlib.import_module(f"jobnb.callbacks.{ours}")

    yield make
    for ours in ("keras", "lightning", "transformers"):
        sys.modules.pop(f"jobnb.callbacks.{ours}", None)


def test_keras_reports_epochs_and_batches(pretend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    module = pretend("keras", "keras.callbacks", "Callback")
    callback = module.JobProgress()
    # https://keras.io/api/callbacks/base_callback: params has epochs and steps
    callback.params = {"epochs": 2, "steps": 2, "verbose": 0}

    def train() -> None:
        for epoch in range(2):
            callback.on_epoch_begin(epoch)
            for batch in range(2):
                callback.on_train_batch_end(batch, {"loss": 0.5})
            callback.on_test_batch_end(0, {})
            callback.on_epoch_end(epoch, {"loss": 0.5, "val_loss": 0.6})
        callback.on_predict_batch_end(0, {})

    assert run(train, monkeypatch, module) == [
        (0.25, "epoch 1/2 · batch 1/2 · loss=0.5"),
        (0.5, "epoch 1/2 · batch 2/2 · loss=0.5"),
        (0.5, "epoch 1/2 · loss=0.5, val_loss=0.6"),
        (0.75, "epoch 2/2 · batch 1/2 · loss=0.5"),
        (1.0, "epoch 2/2 · batch 2/2 · loss=0.5"),
        (1.0, "epoch 2/2 · loss=0.5, val_loss=0.6"),
    ]


@pytest.mark.parametrize("library", ["lightning.pytorch", "pytorch_lightning"])
def test_lightning_reports_epochs_and_batches(library: str, pretend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    if library == "pytorch_lightning":
        monkeypatch.setitem(sys.modules, "lightning", None)
    module = pretend("lightning", library, "Callback")
    callback = module.JobProgress()
    # https://lightning.ai/docs/pytorch/stable/common/trainer.html#trainer-class-api
    trainer = SimpleNamespace(
        is_global_zero=True, current_epoch=0, max_epochs=2, num_training_batches=2, max_steps=-1, global_step=1,
        progress_bar_metrics={"loss": 0.5, "name": "text"},
    )  # fmt: skip

    def train() -> None:
        callback.on_train_batch_end(trainer, None, None, None, 0)
        trainer.current_epoch = 1
        callback.on_train_batch_end(trainer, None, None, None, 1)
        trainer.max_epochs, trainer.max_steps, trainer.global_step = -1, 8, 2
        callback.on_train_batch_end(trainer, None, None, None, 1)
        trainer.is_global_zero = False
        callback.on_train_batch_end(trainer, None, None, None, 1)
        for hook in (callback.on_validation_batch_end, callback.on_test_batch_end, callback.on_predict_batch_end):
            hook(trainer, None, None, None, 0)

    assert run(train, monkeypatch, module) == [
        (0.25, "epoch 1/2 · batch 1/2 · loss=0.5"),
        (1.0, "epoch 2/2 · batch 2/2 · loss=0.5"),
        (0.25, "epoch 2 · batch 2/2 · loss=0.5"),
    ]


def test_transformers_reports_steps_and_what_was_logged(pretend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    module = pretend("transformers", "transformers", "TrainerCallback")
    callback = module.JobProgress()
    # https://huggingface.co/docs/transformers/main_classes/callback
    state = SimpleNamespace(global_step=1, max_steps=4)

    def train() -> None:
        callback.on_step_end(None, state, None, model=None)
        callback.on_log(None, state, None, logs={"loss": 0.5, "epoch": 0.5}, model=None)
        state.global_step = 2
        callback.on_substep_end(None, state, None)
        callback.on_step_end(None, state, None)
        callback.on_prediction_step(None, state, None)

    assert run(train, monkeypatch, module) == [(0.25, "step 1/4"), (0.5, "step 2/4 · loss=0.5, epoch=0.5")]


def test_a_check_between_batches_stops_the_job(pretend: Any) -> None:
    callback = pretend("keras", "keras.callbacks", "Callback").JobProgress()
    callback.params = {"epochs": 1, "steps": None}

    def train() -> None:
        callback.on_train_batch_end(0, None)
        jobnb.progress(0.01)
        while True:
            time.sleep(0.01)
            callback.on_test_batch_end(0)

    assert stops(train)
