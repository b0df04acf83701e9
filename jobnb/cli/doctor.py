"""What `jobnb doctor` looks at: settings, database, schema, spool, kernels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobnb.db import queries, schema
from jobnb.errors import JobnbError
from jobnb.recorder import liveness
from jobnb.recorder.spool import read_segment

if TYPE_CHECKING:
    from jobnb.db.database import Database
    from jobnb.settings import Settings


def examine() -> dict[str, Any]:
    """Look at everything; what is wrong is listed under `problems`."""
    from jobnb.api import default_service

    problems: list[str] = []
    service = default_service()
    database = service.runtime.database
    findings: dict[str, Any] = {"database": database.where, "home": service.settings.home}
    if database.url is not None and database.url.notes:
        findings["url notes"] = "; ".join(database.url.notes)
    try:
        findings |= _look_at_database(database)
    except JobnbError as error:
        findings["reachable"] = "no"
        problems.append(str(error))
    findings |= _look_at_spool(service.settings, problems)
    return {**findings, "problems": problems}


def _look_at_database(database: Database) -> dict[str, Any]:
    database.open()
    found = database.run(schema.version)
    kernels = database.run(queries.list_kernels)
    alive = [kernel for kernel in kernels if kernel["stopped_at"] is None]
    counts = database.run(queries.count_by_state)
    return {
        "reachable": "yes",
        "schema": f"version {found}",
        "jobs": ", ".join(f"{count:,} {state}" for state, count in sorted(counts.items())) or "none",
        "kernels": "; ".join(f"pid {one['pid']} on {one['host']}, {one['unfinished']} unfinished jobs" for one in alive)
        or "none runs jobs now",
    }


def _look_at_spool(settings: Settings, problems: list[str]) -> dict[str, Any]:
    folder = settings.home / "spool"
    segments = sorted(folder.glob("*/*.jsonl"))
    waiting = sum(len(read_segment(path)[0]) for path in segments)
    for path in sorted(folder.glob("*/*.dead")):
        count = len(Path(path).read_text(encoding="utf-8").splitlines())
        problems.append(f"{count} records were refused by the database; they are kept in {path}")
    problems += [
        f"a spool had damaged lines; the others were stored, a copy of it is kept in {path}"
        for path in sorted(folder.glob("*/*.damaged"))
    ]
    kernels = liveness.locked_kernels(settings.home)
    dead = list(liveness.dead_kernels(settings.home))
    return {
        "spool": f"{waiting:,} events wait in {len(segments)} files",
        "lock files": f"{len(kernels)}, {len(dead)} of dead processes",
    }
