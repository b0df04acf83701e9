"""The data folder of the embedded server: made by `initdb`, set up for one user, all of it or nothing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from jobnb.db.folders import OTHER_DATABASE_ADVICE, Folders, own_name
from jobnb.db.programs import MAJOR_VERSION, program, programs_for
from jobnb.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

ROLE = DATABASE = "jobnb"

# nothing of the client's environment: PGOPTIONS, PGTZ, LD_PRELOAD or a locale that is not installed
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}

_SETTINGS = """\
listen_addresses = ''
unix_socket_permissions = 0700
timezone = 'UTC'
log_timezone = 'UTC'
shared_buffers = '32MB'
max_connections = 100
log_min_messages = warning
log_checkpoints = off
"""


def make_cluster(folders: Folders) -> None:
    """Make the data folder if there is none; callers hold the start lock.

    Raises:
        ConfigurationError: it can't be made, there is something else in its place, or it was made by another
            PostgreSQL.
    """
    # on every start: the initdb of a process that was killed may write on for a moment after its folder was removed
    for left_over in folders.data.parent.glob("data.new-*"):
        shutil.rmtree(left_over, ignore_errors=True)
    if (folders.data / "PG_VERSION").exists():
        _check_version(folders)
        return
    if folders.data.exists() and (not folders.data.is_dir() or any(folders.data.iterdir())):
        raise ConfigurationError(
            f"{folders.data} is not a PostgreSQL data folder, and the embedded server needs its place: move it away, "
            f"or set JOBNB_HOME to another folder, {OTHER_DATABASE_ADVICE}"
        )
    # a name of its own: the initdb of a process that was killed may still be at work in another
    temporary = Path(tempfile.mkdtemp(prefix="data.new-", dir=folders.data.parent))
    try:
        folders.account.give(temporary)
        _fill(folders, temporary)
        if folders.data.exists() and not folders.data.is_symlink():
            folders.data.rmdir()
        temporary.rename(folders.data)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _check_version(folders: Folders) -> None:
    found = (folders.data / "PG_VERSION").read_text().strip()
    if found != str(MAJOR_VERSION):
        raise ConfigurationError(
            f"the data in {folders.data} was made by PostgreSQL {found}, the embedded server is {MAJOR_VERSION}: "
            f"move that folder away (pg_dump it with PostgreSQL {found} first), {OTHER_DATABASE_ADVICE}"
        )


def _fill(folders: Folders, target: Path) -> None:
    programs = programs_for(folders.account)
    initdb = program(programs, "initdb")
    # the builtin locale sorts by code point and knows Unicode's upper and lower case, wherever it runs
    locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    options = ["-A", "peer", "-U", ROLE, *locale, "--no-instructions", "--no-sync", "-D", str(target)]
    _run(folders, [initdb, *options])
    _run(
        folders,
        [program(programs, "postgres"), "--single", "-D", str(target), "postgres"],
        f"CREATE DATABASE {DATABASE} OWNER {ROLE};\n",
    )
    _configure(folders, target)
    _run(folders, [initdb, "--sync-only", "-D", str(target)])


def _run(folders: Folders, command: Sequence[str], text: str = "") -> None:
    done = subprocess.run(
        command, input=text, capture_output=True, text=True, errors="replace", check=False, env=ENVIRONMENT, cwd="/",
        **folders.account.spawn_options(),
    )  # fmt: skip
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        # the cause comes first, then what follows from it
        causes = [line for line in lines if re.search(r"(?i)\b(error|fatal|panic): ", line)]
        said = " | ".join(causes[:2] or lines[-4:]) or f"it ended with {done.returncode}"
        raise ConfigurationError(
            f"{Path(command[0]).name} could not make the embedded server's data in {folders.data.parent}: {said}; "
            f"set JOBNB_HOME to another folder, {OTHER_DATABASE_ADVICE}"
        )


def _configure(folders: Folders, target: Path) -> None:
    """Only this user gets in, by the operating system's word for who is at the other end of the socket."""
    _replace(folders, target / "pg_hba.conf", "local all all peer map=jobnb\n")
    names = {own_name(), folders.account.name}
    _replace(folders, target / "pg_ident.conf", "".join(f'jobnb "{name}" {ROLE}\n' for name in sorted(names)))
    _replace(folders, target / "postgresql.auto.conf", _SETTINGS)


def _replace(folders: Folders, path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    folders.account.give(path)
