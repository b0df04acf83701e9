"""The events that tell how a job ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobnb.recorder.events import AnyEvent, Event, EventKind, PlainEnd, json_text
from jobnb.tracking.log import clean

if TYPE_CHECKING:
    from jobnb.tracking.execution import Execution
    from jobnb.values.encode import Encoded

_END = EventKind.END


def done_event(encoded: Encoded, execution: Execution) -> AnyEvent:
    """It is done; `encoded` is what its function returned."""
    json, order, error, _ = encoded
    has_spoken = execution.fraction is not None or execution.message is not None
    if order is error is None and not has_spoken and execution.attempt == 1 and execution.duration is not None:
        return PlainEnd(
            execution.job_id,
            execution.work.shared,
            execution.accepted_at,
            f"{execution.started:.6f}",
            f"{execution.finished:.6f}",
            f"{execution.duration:.6f}",
            json,
        )
    members = f'"status":"done","result":{{"result":{json}}}'
    if order is not None:
        members += f',"result_order":{order}'
    if error is not None:
        members += f',"result_error":{json_text(clean(error))}'
    return _event(execution, members)


def failed_event(execution: Execution) -> Event:
    """It failed; why is in the execution."""
    members = (
        f'"status":"failed","error_kind":"{execution.error_kind}",'
        f'"error_message":{json_text(clean(execution.error_message or ""))}'
    )
    if execution.traceback is not None:
        members += f',"traceback":{json_text(execution.traceback)}'
    return _event(execution, members)


def _event(execution: Execution, members: str) -> Event:
    members = f'{execution.accepted}{members},"finished_at":{execution.finished:.6f}'
    if execution.duration is not None:
        members += f',"started_at":{execution.started:.6f},"duration_s":{execution.duration:.6f}'
    return Event(_END, execution.job_id, execution.attempt, members + execution.progress_text(), execution.work.shared)
