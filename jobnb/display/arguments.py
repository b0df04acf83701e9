"""A call's arguments in a few words, for people; safe for any object, as none of its own code is run."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PLAIN = (int, float, complex, bool, type(None), bytes)


def brief_call(args: Sequence[Any], kwargs: Mapping[str, Any], limit: int = 40) -> str:
    """The arguments as they would be written, each cut short: `'a.csv', DataFrame, rate=0.1`."""
    words = [brief(value) for value in args[:8]] + [
        f"{name}={brief(value)}" for name, value in list(kwargs.items())[:8]
    ]
    text = ", ".join(words)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def brief(value: object, limit: int = 24) -> str:
    """One value in a few characters: itself if it is plain, else the name of its type.

    Only the exact built-in types are written out: a `repr` of somebody's class may be slow, long, or raise.
    """
    if type(value) in _PLAIN:
        text = repr(value) if not isinstance(value, bytes) else repr(value[:limit])
    elif type(value) is str:
        text = repr(value[: limit * 2])
    elif isinstance(value, PurePath):
        text = repr(value.name)
    elif type(value) in (list, tuple) and len(value) <= 4:  # type: ignore[arg-type] # both have a length
        inside = ", ".join(brief(item, 10) for item in value)  # type: ignore[attr-defined]
        text = f"[{inside}]" if type(value) is list else f"({inside})"
    else:
        text = _kind(value)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _kind(value: object) -> str:
    name = getattr(value, "__name__", None)
    if callable(value) and isinstance(name, str):
        return name
    size = f"[{len(value)}]" if type(value) in (list, tuple, dict, set, frozenset) else ""  # type: ignore[arg-type]
    return f"{type(value).__name__}{size}"
