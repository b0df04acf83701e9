"""What a starting process does for dead ones of this host: store what they left in the spool, then close their jobs."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from uuid import UUID

from jobnb.db import queries
from jobnb.errors import JobnbError
from jobnb.recorder import liveness
from jobnb.recorder.spool import read_segment, segments_of, spooled_kernels

if TYPE_CHECKING:
    from pathlib import Path

    from jobnb.db.database import Database
    from jobnb.recorder import Recorder

_log = logging.getLogger("jobnb")


def recover(home: Path, folder: Path, own_kernel: str, recorder: Recorder, database: Database) -> list[UUID]:
    """Replay the spools of dead kernels, then mark what is left of their jobs as lost; nothing is run again.

    Several processes may do this at once: a replayed event changes nothing the second time.

    Returns:
        The ids of the jobs that were lost.

    Raises:
        DatabaseUnavailable: not now; the spools stay where they are.
    """
    candidates = (spooled_kernels(folder) | set(liveness.locked_kernels(home))) - {own_kernel}
    dead = liveness.dead_kernels(home, candidates)
    replayed = [path for kernel in dead for path in segments_of(folder, kernel) if _replay(path, recorder)]
    recorder.settle(60.0)
    for path in replayed:
        path.unlink(missing_ok=True)
    lost = database.run(queries.close_lost, [UUID(kernel) for kernel in dead if _is_uuid(kernel)])
    for kernel in dead:
        # a spool for another database is still to be replayed by whoever uses that one
        if not any(home.glob(f"spool/*/{kernel}.*.jsonl")):
            liveness.bury(home, kernel)
    if lost:
        _log.warning("jobnb: %s unfinished jobs of a process that ended are marked as lost", len(lost))
    return lost


def _replay(path: Path, recorder: Recorder) -> bool:
    try:
        events, damaged = read_segment(path)
    except OSError as error:
        _log.warning("jobnb: can't read the spool %s of a dead process: %s; left alone", path, error)
        return False
    if damaged:
        kept = path.with_suffix(".damaged")
        kept.write_bytes(path.read_bytes())
        _log.warning("jobnb: %s lines of the spool %s are damaged; the others are stored, a copy is in %s",
                     damaged, path, kept)  # fmt: skip
    try:
        recorder.put_all(events)
    except JobnbError as error:
        _log.warning("jobnb: can't replay the spool %s: %s; left alone", path, error)
        return False
    return True


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
