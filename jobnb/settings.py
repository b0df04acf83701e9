"""What can be configured, and where each value comes from: an argument, the environment, a `.env` file, a default."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

from jobnb.errors import ConfigurationError

Display = Literal["auto", "widget", "html", "text", "none"]


@dataclass(frozen=True)
class Settings:
    """Every setting, in one immutable value.

    Attributes:
        database_url: the server to use, as written by the user; None means the embedded server. From
            `DATABASE_URL`. Never shown: it may hold a password.
        home: where the embedded server, the spool and the locks live; made with mode 0700. From `JOBNB_HOME`.
        max_workers: how many jobs of this process run at once, at least 1. From `JOBNB_MAX_WORKERS`.
        display: how a job shows itself in a notebook. From `JOBNB_DISPLAY`.
        log_lines: how many lines of a job's output are kept, at least 1. From `JOBNB_LOG_LINES`.
        exit_grace: seconds that leaving the interpreter may wait for what is not written yet, in [0, 60]. From
            `JOBNB_EXIT_GRACE`.
        lease: seconds of silence after which the jobs of a process on another host are marked as lost, in
            [1, 86400]. From `JOBNB_LEASE`.
        auto_progress: whether the bars of tqdm and rich in jobs are the jobs' progress; for the whole process. From
            `JOBNB_AUTO_PROGRESS`.
    """

    database_url: str | None = None
    home: Path = Path("~/.jobnb")
    max_workers: int = min(32, (os.cpu_count() or 1) + 4)
    display: Display = "auto"
    log_lines: int = 20_000
    exit_grace: float = 2.0
    lease: float = 900.0
    auto_progress: bool = True

    def __repr__(self) -> str:
        where = "embedded" if self.database_url is None else "DATABASE_URL (not shown)"
        return f"Settings(database={where}, home={str(self.home)!r}, max_workers={self.max_workers})"

    @classmethod
    def load(cls, **given: Any) -> Settings:
        """Collect the settings; an argument that is not None wins over the environment, which wins over `.env`.

        Raises:
            ConfigurationError: a value that can't be right; the message names where it was written.
        """
        if unknown := given.keys() - _CHECKS.keys():
            names = ", ".join(_CHECKS)
            raise ConfigurationError(f"there is no setting {min(unknown)!r}: they are {names}")
        written = {**_from_env_file(), **_from_environment()}
        written |= {name: (value, name) for name, value in given.items() if value is not None}
        values: dict[str, Any] = {name: _CHECKS[name](value, origin) for name, (value, origin) in written.items()}
        settings = cls(**values)
        # two spellings of one folder (a symbolic link) are one home: it is a key, and holds locks
        return replace(settings, home=Path(os.path.realpath(settings.home.expanduser())))


_VARIABLES = {"database_url": "DATABASE_URL"} | {
    field.name: f"JOBNB_{field.name.upper()}" for field in fields(Settings) if field.name != "database_url"
}


def _from_environment() -> dict[str, tuple[str, str]]:
    return _pick(dict(os.environ), "environment variable ")


def _from_env_file() -> dict[str, tuple[str, str]]:
    path = Path(".env")
    if not path.is_file():
        return {}
    from dotenv import dotenv_values

    values = {name: value for name, value in dotenv_values(path).items() if value}
    return _pick(values, f"in {path.absolute()}: ")


def _pick(values: dict[str, str], where: str) -> dict[str, tuple[str, str]]:
    # an empty or blank variable means "not set": that is how a shell unsets one for a single command
    return {
        name: (values[variable].strip(), where + variable)
        for name, variable in _VARIABLES.items()
        if values.get(variable, "").strip()
    }


def _text(value: object, origin: str) -> str:
    if not isinstance(value, str):
        raise ConfigurationError(f"{origin} has the type {type(value).__name__}: give a text")
    return value


def _path(value: object, origin: str) -> Path:
    if not isinstance(value, (str, os.PathLike)):
        raise ConfigurationError(f"{origin} has the type {type(value).__name__}: give a path")
    return Path(value)


def _count(value: object, origin: str) -> int:
    try:
        number = int(value) if isinstance(value, str) else value
    except ValueError:
        number = None
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise ConfigurationError(f"{origin} is {value!r}: give a whole number of at least 1")
    return number


def _seconds(value: object, origin: str, least: float = 0, most: float = 60) -> float:
    try:
        number = float(value)  # type: ignore[arg-type] # anything that is no number raises
    except (TypeError, ValueError):
        number = math.nan
    if not least <= number <= most:
        raise ConfigurationError(f"{origin} is {value!r}: give a number of seconds from {least:g} to {most:g}")
    return number


def _lease(value: object, origin: str) -> float:
    return _seconds(value, origin, 1, 86_400)


def _switch(value: object, origin: str) -> bool:
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    switch = words.get(str(value).strip().lower())
    if switch is None:
        raise ConfigurationError(f"{origin} is {value!r}: give true or false")
    return switch


def _display(value: object, origin: str) -> Display:
    for known in get_args(Display):
        if value == known:
            return known  # type: ignore[no-any-return] # get_args forgets that these are the literals
    raise ConfigurationError(f"{origin} is {value!r}: give one of {', '.join(get_args(Display))}")


_CHECKS = {
    "database_url": _text,
    "home": _path,
    "max_workers": _count,
    "display": _display,
    "log_lines": _count,
    "exit_grace": _seconds,
    "lease": _lease,
    "auto_progress": _switch,
}
