"""The writer: sends batches of records until the database has them, whatever happens to it.

An outage is waited for, for ever; so is a server that says itself why it can't write now (disk full, read-only). One
that refuses a batch, or that answers otherwise but always loses its connection over this batch, has been handed
something it can't take: then the batch is halved until the offending record is alone, that record is sent again without
its bulky and optional parts, and if even that is refused it goes to the dead-letter file. Nothing is ever dropped in
silence.
"""

from __future__ import annotations

import json
import logging
import os
import random
import threading
import time
from typing import TYPE_CHECKING, Any, Protocol

from jobnb.db import queries
from jobnb.errors import DatabaseUnavailable, JobnbError
from jobnb.recorder.batch import arrays, payload
from jobnb.recorder.events import Event, EventKind, PlainEnd

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from jobnb.recorder.batch import Batch
    from jobnb.recorder.events import AnyEvent

_log = logging.getLogger("jobnb")

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0
SUSPICIOUS_TRIES = 4
"""After this many failures of one batch the server is asked whether it works at all."""
SUSPICIOUS_ANSWERS = 3
"""So often in a row the server has to answer just before a batch fails again; fewer happen by chance."""
NOTICE_AFTER = 1.0
"""Seconds an outage may last before the user hears of it; a restart of the server is shorter."""

_OPTIONAL = ("result", "result_order", "traceback", "source", "progress_message", "initial_data")
_REFERENCES = ("document_id", "property_id", "group_id", "retry_of")


class Target(Protocol):
    """Where batches go: a database."""

    def write(self, statement: Callable[..., None], *texts: str) -> None:
        """Run a statement of the recorder."""

    def ping(self) -> bool:
        """True if the server answers."""


class _GivenUp(Exception):
    """Nobody waits for the server any longer."""


class Writer:
    """Sends batches over one connection.

    Args:
        database: where to.
        dead_letters: the file for records that the database refuses in every form.
        keep_safe: called at the first failure of a batch; brings the spool to the disk.
        on_problem: called with a job's id and words, when its record could not be stored whole.
    """

    def __init__(
        self,
        database: Target,
        dead_letters: Path,
        keep_safe: Callable[[], None],
        on_problem: Callable[[str, str], None],
    ) -> None:
        self._database, self._dead_letters = database, dead_letters
        self._keep_safe, self._on_problem = keep_safe, on_problem
        self._stop = threading.Event()
        self.down_since: float | None = None
        self.last_error: str | None = None
        self._told = False

    def send(self, batch: Batch) -> bool:
        """Send a batch; True when the database has it, False if `give_up` came first."""
        try:
            # what is refused in columns may be taken as a record of its own, or tell which one it is
            refused = batch.done and self._deliver(queries.record_done, batch.done)
            self._insist(queries.record_new, [*batch.done, *batch.new] if refused else batch.new)
            self._insist(queries.record_progress, batch.changed)
            self._insist(queries.insert_logs, batch.logs)
        except _GivenUp:
            return False
        return True

    def give_up(self) -> None:
        """Stop waiting for a server that is away; what is not sent stays in the spool."""
        self._stop.set()

    def _insist(self, statement: Callable[..., None], records: Sequence[AnyEvent]) -> None:
        if not records or (error := self._deliver(statement, records)) is None:
            return
        if len(records) > 1:
            middle = len(records) // 2
            self._insist(statement, records[:middle])
            self._insist(statement, records[middle:])
        else:
            self._degrade(statement, records[0], error)

    def _deliver(self, statement: Callable[..., None], records: Sequence[AnyEvent]) -> JobnbError | None:
        """Send until the server has the records (None), or has proved that it can't take them (the reason)."""
        pause, tries, answers = FIRST_PAUSE, 0, 0
        while True:
            tries += 1
            try:
                self._database.write(statement, *_texts(statement, records))
            except JobnbError as error:
                self._failed(error)
                if not isinstance(error, DatabaseUnavailable) or answers >= SUSPICIOUS_ANSWERS:
                    return error
                if self._stop.wait(pause * (0.5 + random.random())):
                    raise _GivenUp from None
                # some poison looks like an outage: a value of 1 GB kills its own connection
                is_suspicious = tries >= SUSPICIOUS_TRIES and not error.will_pass and self._database.ping()
                answers = answers + 1 if is_suspicious else 0
                pause = FIRST_PAUSE if is_suspicious else min(pause * 2, LONGEST_PAUSE)
            else:
                self._succeeded()
                return None

    def _degrade(self, statement: Callable[..., None], record: AnyEvent, error: JobnbError) -> None:
        for smaller in _smaller_forms(record, str(error)):
            if self._deliver(statement, [_replaced(record, smaller)]) is None:
                self._on_problem(record.job_id, f"stored without some of its data: {error}")
                return
        self._bury(record, error)

    def _bury(self, record: AnyEvent, error: JobnbError) -> None:
        record_text = record.members if record.kind is EventKind.LOGS else json.dumps(_columns(record))
        line = json.dumps({"job_id": record.job_id, "why": str(error), "at": time.time(), "record": record_text})
        self._dead_letters.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._dead_letters, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "a", encoding="utf-8") as file:
            file.write(line + "\n")
        self._on_problem(record.job_id, f"the database refuses its record: {error}; kept in {self._dead_letters}")
        _log.error("jobnb: the database refuses the record of job %s (%s); kept in %s", record.job_id, error,
                   self._dead_letters)  # fmt: skip

    def _failed(self, error: JobnbError) -> None:
        self.last_error = str(error)
        if self.down_since is None:
            self.down_since = time.monotonic()
            self._keep_safe()
        if not self._told and time.monotonic() - self.down_since > NOTICE_AFTER:
            self._told = True
            _log.warning("jobnb: %s. Your jobs go on; what they do is kept in a file and stored when the server is "
                         "back.", error)  # fmt: skip

    def _succeeded(self) -> None:
        if self._told:
            _log.warning("jobnb: the database is back; what was kept is being stored.")
        self.down_since, self.last_error, self._told = None, None, False


def _texts(statement: Callable[..., None], records: Sequence[AnyEvent]) -> list[str]:
    """The parameters of a statement."""
    if statement is queries.record_done:
        return arrays([record for record in records if isinstance(record, PlainEnd)])
    json_text, shared = payload(records)
    return [json_text, shared] if shared != "[]" else [json_text]


def _columns(record: AnyEvent) -> dict[str, Any]:
    """The record's columns, what it shares with others included."""
    columns: dict[str, Any] = json.loads(f"{{{','.join(filter(None, (record.shared, record.members)))}}}")
    return columns


def _replaced(record: AnyEvent, columns: dict[str, Any]) -> Event:
    return Event(record.kind, record.job_id, record.attempt, json.dumps(columns)[1:-1])


def _smaller_forms(record: AnyEvent, why: str) -> list[dict[str, Any]]:
    """The columns without the bulky ones, and then without references too; logs have no smaller form."""
    if record.kind is EventKind.LOGS:
        return []
    columns = _columns(record)
    smaller = {name: value for name, value in columns.items() if name not in _OPTIONAL}
    if columns.get("status") == "done":
        smaller["result_error"] = f"the database refused the value: {why}"[:500]
    return [smaller, {name: value for name, value in smaller.items() if name not in _REFERENCES}]
