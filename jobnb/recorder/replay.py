"""Stores what a dead process left in its spool, straight from the file, which stays until the database has it all."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from jobnb.recorder.batch import Pending
from jobnb.recorder.spool import read_segment, segments_of
from jobnb.recorder.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from jobnb.db.database import Database

__all__ = ["replay", "segments_of"]

_log = logging.getLogger("jobnb")


class _Apart:
    """A database for a writer that is not the recorder's: it has its own connection, and its own ideas of patience."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def write(self, statement: Callable[..., None], *texts: str) -> None:
        """Run a statement of the recorder on one of the readers' connections."""
        self._database.write_apart(statement, *texts)

    def ping(self) -> bool:
        """True if the server answers."""
        return self._database.ping()


def replay(folder: Path, kernel_id: str, database: Database) -> bool:
    """Store the events of a dead kernel and remove its files; False if the database went away meanwhile.

    A file that can't be read is left alone, and so are the lines of one that are damaged: a copy of it is kept. What
    the database refuses goes to the dead letters, as ever.
    """
    writer = Writer(_Apart(database), folder / f"{kernel_id}.dead", lambda: None, _note)
    writer.give_up()  # at the first failure: the files are still there the next time
    for path in segments_of(folder, kernel_id):
        pending = _read(path)
        while pending and (batch := pending.take(ended_only=False)):
            if not writer.send(batch):
                return False
        if pending is not None:
            path.unlink(missing_ok=True)
    return True


def _read(path: Path) -> Pending | None:
    try:
        events, damaged = read_segment(path)
    except FileNotFoundError:
        return None  # somebody else was faster
    except OSError as error:
        _log.warning("jobnb: can't read the spool %s of a dead process: %s; left alone", path, error)
        return None
    if damaged:
        kept = path.with_suffix(".damaged")
        kept.write_bytes(path.read_bytes())
        _log.warning("jobnb: %s lines of the spool %s are damaged; the others are stored, a copy is in %s",
                     damaged, path, kept)  # fmt: skip
    pending = Pending()
    pending.add(events)
    return pending


def _note(job_id: str, problem: str) -> None:
    _log.warning("jobnb: job %s of a dead process: %s", job_id, problem)
