"""Jobs, and the calls of a group, as pandas DataFrames. pandas is imported when one is asked for."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from jobnb.models import Job

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobnb.handle import JobHandle

_LEFT_OUT = {"result_order", "traceback", "source"}
_OUTCOME = ("status", "time", "value", "error")


def frame_of_jobs(jobs: Sequence[Job]) -> Any:
    """A row for each job; times are UTC, statuses and kinds are categories, durations are seconds.

    Raises:
        ImportError: pandas is not installed.
    """
    import pandas as pd

    columns = [name for name in Job.model_fields if name not in _LEFT_OUT]
    frame = pd.DataFrame([job.model_dump(include=set(columns)) for job in jobs], columns=columns)
    for name in ("created_at", "started_at", "finished_at", "cancel_requested_at"):
        frame[name] = pd.to_datetime(frame[name], utc=True)
    for name in ("status", "error_kind", "job_type"):
        frame[name] = frame[name].map(str, na_action="ignore").astype("category")
    for name in ("progress", "timeout_s", "duration_s"):
        frame[name] = frame[name].astype("float64")
    return frame


def frame_of_calls(handles: Sequence[JobHandle[Any]]) -> Any:
    """A row for each call: its parameters by name, its state, its time in seconds, its value; its error if any failed.

    Raises:
        ImportError: pandas is not installed.
    """
    import pandas as pd

    frame = pd.DataFrame([_parameters(handle) for handle in handles])
    frame["status"] = pd.Categorical([handle.state for handle in handles])
    frame["time"] = pd.Series([handle.job.elapsed for handle in handles], dtype="float64")
    # as objects first: pandas takes a list of arrays for a table
    values = [handle.result() if handle.state == "done" else None for handle in handles]
    frame["value"] = pd.Series(values, dtype=object).infer_objects()
    errors = [handle.job.error_message for handle in handles]
    if any(errors):
        frame["error"] = errors
    return frame


def _parameters(handle: JobHandle[Any]) -> dict[str, Any]:
    """The arguments by the names of the parameters; one that is called like a column of ours gets a `_` behind."""
    return {f"{name}_" if name in _OUTCOME else name: value for name, value in _named(*handle.arguments)}


def _named(signature: inspect.Signature | None, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[tuple[str, Any]]:
    if signature is None:
        return [(f"argument {n}", value) for n, value in enumerate(args, 1)] + list(kwargs.items())
    pairs: list[tuple[str, Any]] = []
    for name, value in signature.bind(*args, **kwargs).arguments.items():
        kind = signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_POSITIONAL:
            pairs += [(f"{name}[{n}]", item) for n, item in enumerate(value)]
        elif kind is inspect.Parameter.VAR_KEYWORD:
            pairs += list(value.items())
        else:
            pairs.append((name, value))
    return pairs
