"""The words of the filter language: its keys, and how the value behind each is read."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from jobnb.errors import InvalidInput
from monitor.model import Term

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Read = Callable[[str, str], list[Term]]


class Key(NamedTuple):
    """One key of the language.

    Attributes:
        name: the key as help shows it.
        other_names: what else it may be called.
        read: makes terms of a comparison (`""`, `=`, `>`, `>=`, `<`, `<=`) and a value.
        example: one in use.
        words: what it finds.
        values: the values that are known beforehand, for completion.
    """

    name: str
    other_names: tuple[str, ...]
    read: Read
    example: str
    words: str
    values: tuple[str, ...] = ()


STATES: dict[str, tuple[str, ...]] = {
    "queued": ("scheduled",),
    "running": ("in_progress",),
    "done": ("done",),
    "failed": ("failed",),
    "cancelled": ("cancelled",),
    "timeout": ("timeout",),
    "lost": ("lost",),
    "active": ("active",),
    "failures": ("unsuccessful",),
    "ended": ("done", "unsuccessful"),
}
_OTHER_STATES = {"scheduled": "queued", "in_progress": "running", "canceled": "cancelled", "unsuccessful": "failures",
                 "finished": "ended", "unfinished": "active", "error": "failed", "waiting": "queued"}  # fmt: skip
FLAGS = {
    "stopping": "asked to stop, and not ended yet",
    "retry": "repeats another job",
    "unstored": "done, but its value was not stored whole",
    "untaken": "no process has taken it",
    "named": "has a name of its own",
    "grouped": "belongs to a map()",
}


def nearest(word: str, known: Iterable[str]) -> str:
    """`: did you mean 'failed'?`, or a list of what there is, to end an error message with."""
    known = list(known)
    if close := get_close_matches(word, known, 2, 0.6):
        return f": did you mean {' or '.join(repr(one) for one in close)}?"
    return f": there are {', '.join(known)}"


def _plain(comparison: str, value: str, key: str) -> None:
    if comparison not in ("", "="):
        raise InvalidInput(f"{key}:{comparison}{value}: {key} has no order; write {key}:{value}")


def read_state(comparison: str, value: str) -> list[Term]:
    """States, or properties: `is:` takes both."""
    _plain(comparison, value, "state")
    words = [_OTHER_STATES.get(word, word) for word in value.casefold().replace("-", "_").split(",") if word]
    if len(words) == 1 and words[0] in FLAGS:
        return [Term("flag", "is", (words[0],))]
    for word in words:
        if word not in STATES:
            raise InvalidInput(f"no state {word!r}{nearest(word, [*STATES, *FLAGS])}")
    return [Term("state", "is", tuple(state for word in words for state in STATES[word]))]


def read_type(comparison: str, value: str) -> list[Term]:
    """A type is found by its beginning, as that is what one has typed so far; `=` wants all of it."""
    if comparison not in ("", "="):
        _plain(comparison, value, "type")
    if comparison == "=":
        return [Term("type", "is", tuple(value.split(",")))]
    values = value.split(",")
    if all("*" not in one.rstrip("*") and "?" not in one for one in values):
        return [Term("type", "starts", tuple(one.rstrip("*") for one in values))]
    return [Term("type", "like", tuple(values))]


def text(field: str) -> Read:
    """A text that contains the value; one with `*` or `?` has to fit as a whole."""

    def read(comparison: str, value: str) -> list[Term]:
        _plain(comparison, value, field)
        if comparison == "=":
            return [Term(field, "is", (value,))]
        return [Term(field, "like" if "*" in value or "?" in value else "contains", (value,))]

    return read


def read_id(field: str) -> Read:
    """A whole UUID, or some of its digits: its first ones, its last ones, or the first of the eight that are shown."""

    def read(comparison: str, value: str) -> list[Term]:
        _plain(comparison, value, field)
        digits = value.casefold().replace("-", "")
        if not re.fullmatch("[0-9a-f]{1,32}", digits):
            raise InvalidInput(f"{field}:{value}: an id has hex digits only, such as 3f2a91bc")
        return [Term(field, "is", (UUID(digits),)) if len(digits) == 32 else Term(field, "contains", (digits,))]

    return read


def read_same(comparison: str, value: str) -> list[Term]:
    """The fingerprint of a group of errors."""
    _plain(comparison, value, "same")
    if not re.fullmatch("[0-9a-f]{8}", value.casefold()):
        raise InvalidInput(f"same:{value}: give the eight hex digits of a group on the errors screen")
    return [Term("same", "is", (value.casefold(),))]


def number(field: str, convert: Callable[[str], float]) -> Read:
    """A number compared with the value; `a..b` is a range, a value alone means at least."""

    def read(comparison: str, value: str) -> list[Term]:
        if ".." in value and not comparison:
            low, high = value.split("..", 1)
            lowest = [Term(field, ">=", (convert(low),))] if low else []
            return lowest + ([Term(field, "<=", (convert(high),))] if high else [])
        return [Term(field, _OPERATORS[comparison], (convert(value),))]

    return read


_OPERATORS: dict[str, Any] = {"": ">=", "=": "is", ">": ">", ">=": ">=", "<": "<", "<=": "<="}
_FLIPPED: dict[str, Any] = {"": ">=", "=": ">=", ">": "<", ">=": "<=", "<": ">", "<=": ">="}


def moment(field: str, alone: str = "") -> Read:
    """A moment compared with a date, or its age with a length of time: `finished:<10m` ended less than 10 min ago.

    Args:
        field: which moment.
        alone: the operator for a date or an age alone, where the key says it (`since`, `before`).
    """

    def read(comparison: str, value: str) -> list[Term]:
        if ".." in value and not comparison:
            first, last = value.split("..", 1)
            return (read(">=", first) if first else []) + (read("<=", last) if last else [])
        when = read_moment(value)
        if alone:
            _plain(comparison, value, field)
            operator: Any = alone
        else:
            operator = (_FLIPPED if isinstance(when, timedelta) else _OPERATORS)[comparison]
        return [Term(field, operator, (when,))]

    return read


_UNITS = {"ms": 0.001, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
_LENGTH = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|min|m|h|d|w)?")


def read_seconds(value: str) -> float:
    """`90`, `500ms`, `30s`, `5m`, `1h30m`, `2d` or `1w` in seconds.

    Raises:
        InvalidInput: anything else.
    """
    parts = list(_LENGTH.finditer(value.casefold()))
    if not parts or "".join(part[0] for part in parts) != value.casefold().strip():
        raise InvalidInput(f"{value!r} is no length of time: write 30s, 5m, 1h30m or 2d")
    return min(sum(float(part[1]) * _UNITS[part[2] or "s"] for part in parts), 1e9)


def read_moment(value: str) -> datetime | timedelta:
    """A date, a date with a time (UTC unless it says otherwise), `today`, `yesterday`, or an age such as `2h`.

    Raises:
        InvalidInput: anything else.
    """
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if value.casefold() in ("today", "yesterday"):
        return today - timedelta(days=value.casefold() == "yesterday")
    try:
        if re.fullmatch(r"\d{1,2}:\d{2}(:\d{2})?", value):
            value = f"{today.date()}T{value.zfill(5 if value.count(':') == 1 else 8)}"
        when = datetime.fromisoformat(value) if "-" in value else None
    except ValueError:
        raise InvalidInput(f"{value!r} is no date: write 2026-11-30, 2026-11-30T14:05 (UTC) or an age: 2h") from None
    if when is None:
        return timedelta(seconds=read_seconds(value))
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when


def read_fraction(value: str) -> float:
    """`50%`, `50` or `0.5`.

    Raises:
        InvalidInput: anything else.
    """
    try:
        given = float(value.rstrip("%"))
    except ValueError:
        raise InvalidInput(f"{value!r} is no progress: write 50%") from None
    return min(1.0, max(0.0, given / 100 if value.endswith("%") or given > 1 else given))


def read_count(value: str) -> float:
    """A whole number.

    Raises:
        InvalidInput: anything else.
    """
    if not value.isdecimal() or len(value) > 9:
        raise InvalidInput(f"{value!r} is no number: write attempt:>1")
    return int(value)


KEYS = (
    Key("state", ("status", "is"), read_state, "state:failed,lost", "in one of these states", (*STATES, *FLAGS)),
    Key("type", ("job_type",), read_type, "type:train.", "whose type begins so; type:=train is the whole type"),
    Key("name", (), text("name"), "name:resnet", "with this in their name"),
    Key("error", ("err",), text("error"), 'error:"bad shape"', "with this in their error message"),
    Key("message", ("msg",), text("message"), "message:epoch", "with this in their progress message"),
    Key("kernel", ("notebook", "host", "user", "pid", "worker"), text("kernel"), "kernel:study.ipynb",
        "of kernels with this notebook, host, user, pid or id"),
    Key("since", ("after",), moment("created", ">="), "since:2h", "created within this time, or since this date",
        ("10m", "1h", "24h", "7d", "today", "yesterday")),
    Key("before", ("until",), moment("created", "<"), "before:2026-11-30", "created before this date, or longer ago"),
    Key("created", (), moment("created"), "created:>2026-11-30T14:05", "created after (>) or before (<)"),
    Key("started", (), moment("started"), "started:<10m", "begun less than 10 minutes ago"),
    Key("finished", ("ended",), moment("finished"), "finished:<10m", "ended less than 10 minutes ago"),
    Key("took", ("duration",), number("took", read_seconds), "took:>30s", "that ran, or have been running, so long"),
    Key("waited", ("wait",), number("waited", read_seconds), "waited:>1m", "that waited so long to start"),
    Key("progress", (), number("progress", read_fraction), "progress:<50%", "that have come so far"),
    Key("attempt", ("try",), number("attempt", read_count), "attempt:>1", "in this attempt"),
    Key("id", ("job_id",), read_id("id"), "id:3f2a91bc", "with these digits in their id"),
    Key("group", ("group_id",), read_id("group"), "group:3f2a91bc", "of one map()"),
    Key("retry_of", (), read_id("retry_of"), "retry_of:3f2a91bc", "that repeat this job"),
    Key("same", ("fingerprint",), read_same, "same:3f2a91bc", "that failed the same way"),
    Key("function", ("fn",), text("function"), "function:train", "whose function has this in its name"),
    Key("executor", (), text("executor"), "executor:threads", "that run on this"),
    Key("document", ("document_id",), read_id("document"), "document:3f2a91bc", "of this document"),
    Key("property", ("property_id",), read_id("property"), "property:3f2a91bc", "of this property"),
)  # fmt: skip
BY_NAME = {name: key for key in KEYS for name in (key.name, *key.other_names)}
