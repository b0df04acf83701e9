"""The options of `submit` and `map`, checked and made ready for the row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jobnb.checks import check_id, check_job_type, check_seconds, check_text
from jobnb.db import queries
from jobnb.errors import DatabaseUnavailable, InvalidInput
from jobnb.tracking.work import Options
from jobnb.values import encode_fields

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from jobnb.executors.borrowed import Executor
    from jobnb.runtime import Runtime

PLAIN = Options("analysis")
"""What a call gets that names no option."""
MOST_RETRIES = 1000
_CHOICES = ("name", "document_id", "property_id", "initial_data", "timeout", "retries", "executor")
_REFERENCES: tuple[str, ...] = ("document_id", "property_id")


def chosen(
    job_type: str,
    name: str | None,
    document_id: UUID | str | None,
    property_id: UUID | str | None,
    initial_data: Mapping[str, Any] | None,
    timeout: float | None,
    retries: int,
    executor: Executor | None,
) -> dict[str, Any]:
    """Those of the options of a call that are not the default, unchecked."""
    is_usual = job_type is PLAIN.job_type or (isinstance(job_type, str) and job_type == PLAIN.job_type)
    belongs = document_id is not None or property_id is not None or initial_data is not None
    if is_usual and not (belongs or retries) and name is None and timeout is None and executor is None:
        return {}  # most calls, and this is on the way of every one
    values = (name, document_id, property_id, initial_data, timeout, retries or None, executor)
    given = {option: value for option, value in zip(_CHOICES, values, strict=True) if value is not None}
    return given if is_usual else {"job_type": job_type, **given}


def make_options(runtime: Runtime, given: Mapping[str, Any]) -> Options:
    """Check the options of a call.

    Args:
        runtime: knows the tables of documents and properties.
        given: those that are not the default.

    Raises:
        InvalidInput: something that can't be right.
    """
    if not given:
        return PLAIN
    job_type = check_job_type(given.get("job_type", PLAIN.job_type))
    name = check_text("name", given["name"]) if "name" in given else None
    timeout = check_seconds("timeout", given["timeout"]) if "timeout" in given else None
    retries = given.get("retries", 0)
    if isinstance(retries, bool) or not isinstance(retries, int) or not 0 <= retries <= MOST_RETRIES:
        raise InvalidInput(
            f"retries is {retries!r:.80}: give a whole number from 0 to {MOST_RETRIES}", argument="retries"
        )
    members = []
    references: dict[str, UUID] = {key: check_id(key, given[key]) for key in _REFERENCES if key in given}
    if references:
        _check_references(runtime, references)
        members += [f'"{key}":"{value}"' for key, value in references.items()]
    if "initial_data" in given:
        members.append(f'"initial_data":{encode_fields("initial_data", given["initial_data"]).json}')
    return Options(job_type, name, timeout, retries, ",".join(members))


def _check_references(runtime: Runtime, references: dict[str, UUID]) -> None:
    runtime.open()
    try:
        missing = runtime.database.run(
            queries.missing_references, references.get("document_id"), references.get("property_id")
        )
    except DatabaseUnavailable:
        return  # the job is accepted all the same; the row keeps a note if the id turns out to be unknown
    for argument in missing:
        raise InvalidInput(
            f"{argument} is {references[argument]}: no such row in its table; add it there first", argument=argument
        )
