"""`decode`: what `encode` stored becomes values again.

Reading runs no code of the user's. Tags that are unknown, malformed, or would not come back whole (two keys
that have become equal) stay the dicts they are, so nothing that stands in a row is ever lost or an error.
"""

from __future__ import annotations

import base64
import sys
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import PosixPath, PurePath, PurePosixPath, PureWindowsPath, WindowsPath
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from jobnb.values.arrays import read_array, read_masked, read_scalar
from jobnb.values.beside import restore
from jobnb.values.classes import rebuild
from jobnb.values.numpy_types import as_numpy
from jobnb.values.stored import NotStored
from jobnb.values.tags import PREVIEW, TAG
from jobnb.values.text import unpack

if TYPE_CHECKING:
    from collections.abc import Callable

    Tag = dict[str, Any]
    Decoder = Callable[["Reader", Tag], Any]


def decode(value: Any, order: Any = None) -> Any:
    """Make values of a stored tree; never raises.

    Args:
        value: as `json.loads` gave it; with or without the wrapping `{"result": ...}`.
        order: what was stored beside it, likewise: the orders of keys, and NumPy's types.
    """
    try:
        return _READER.node(restore(value, order))
    except RecursionError:  # deeper than anything that `encode` makes
        return value


class Reader:
    """Makes values of trees; `hashing` for keys and members of sets, whose `__hash__` and `__eq__` run."""

    def __init__(self, *, hashing: bool) -> None:
        self.hashing = hashing

    def node(self, tree: Any) -> Any:
        """The value of one tree."""
        if type(tree) is list:
            return [self.node(item) for item in tree]
        if type(tree) is not dict:
            return tree
        if TAG not in tree:
            return {key: self.node(item) for key, item in tree.items()}
        name = tree[TAG]
        decoder = _DECODERS.get(name) if type(name) is str else None
        return tree if decoder is None else self._tagged(decoder, tree)

    def _tagged(self, decoder: Decoder, tree: Tag) -> Any:
        try:
            return decoder(self, tree)
        except Exception:  # whatever stands in the row: what can't be read is shown as it is
            return tree


def _dict(reader: Reader, tree: Tag) -> Any:
    made = {_KEYS.node(key): reader.node(item) for key, item in tree["items"]}
    return _whole(made, tree["items"])


def _tuple(reader: Reader, tree: Tag) -> Any:
    return tuple(_list(reader, tree["v"]))


def _set(_reader: Reader, tree: Tag) -> Any:
    return _whole(set(_list(_KEYS, tree["v"])), tree["v"])


def _frozenset(_reader: Reader, tree: Tag) -> Any:
    return _whole(frozenset(_list(_KEYS, tree["v"])), tree["v"])


def _list(reader: Reader, trees: Any) -> list[Any]:
    if type(trees) is not list:
        raise TypeError("not a list")
    return [reader.node(tree) for tree in trees]


def _whole(made: Any, items: list[Any]) -> Any:
    if len(made) < len(items):
        raise ValueError("two keys have become equal")
    return made


def _integers(reader: Reader, tree: Tag) -> list[int]:
    parts = _list(reader, tree["v"])
    if not all(type(part) is int for part in parts):
        raise TypeError("not integers")  # Fraction("1e999999999") would take for ever
    return parts


def _range(reader: Reader, tree: Tag) -> Any:
    return range(*_integers(reader, tree))


def _fraction(reader: Reader, tree: Tag) -> Any:
    return Fraction(*_integers(reader, tree))


def _bytes(_reader: Reader, tree: Tag) -> bytes:
    return base64.b64decode(tree["b64"], validate=True)


def _complex(_reader: Reader, tree: Tag) -> complex:
    return complex(float(tree["re"]), float(tree["im"]))


def _numpy_too(decoder: Decoder) -> Decoder:
    """Also for a NumPy scalar that can't be a plain number either: a NaN, a large integer."""

    def decode_scalar(reader: Reader, tree: Tag) -> Any:
        value = decoder(reader, tree)
        return as_numpy(value, tree["dtype"]) if "dtype" in tree else value

    return decode_scalar


def _datetime(_reader: Reader, tree: Tag) -> datetime:
    moment = datetime.fromisoformat(tree["v"])
    zone = _zone(tree)
    if zone is not None:
        moment = moment.replace(tzinfo=zone)
    moment = moment.replace(fold=tree.get("fold", 0))
    return cast("datetime", _of_pandas("Timestamp", moment, tree))


def _timedelta(_reader: Reader, tree: Tag) -> timedelta:
    return cast("timedelta", _of_pandas("Timedelta", timedelta(*tree["v"]), tree))


def _of_pandas(name: str, value: Any, tree: Tag) -> Any:
    """The time as pandas had it, with its unit and nanoseconds, where pandas is loaded; else to the microsecond."""
    pandas = sys.modules.get("pandas")
    if "pandas" not in tree or pandas is None:
        return value
    unit, nanoseconds = tree["pandas"]
    try:
        made = vars(pandas)[name](value).as_unit(unit)
    except ValueError:  # within a microsecond of pandas' limits
        return value
    return made + vars(pandas)["Timedelta"](nanoseconds, "ns") if nanoseconds else made


def _time(_reader: Reader, tree: Tag) -> time:
    moment = time.fromisoformat(tree["v"])
    zone = _zone(tree)
    if zone is None and "zone" in tree and moment.tzinfo is None:
        raise LookupError("a time of an unknown zone is not one without a zone")
    return moment.replace(tzinfo=zone or moment.tzinfo, fold=tree.get("fold", 0))


def _zone(tree: Tag) -> Any:
    """The zone by its key, or None: without time zone data the offset in the text has to do."""
    if "zone" not in tree:
        return None
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(tree["zone"])
    except (LookupError, ValueError, OSError):
        return None


def _path(_reader: Reader, tree: Tag) -> PurePath:
    pure, native, platform = _FLAVOURS[tree["flavour"]]
    here = "nt" if sys.platform == "win32" else "posix"
    text = unpack(tree["b64"]) if "b64" in tree else tree["v"]
    return native(text) if platform == here else pure(text)


def _pandas(_reader: Reader, tree: Tag) -> Any:
    """The missing value itself where pandas is loaded, else None, which is what it means."""
    if tree["v"] not in ("NaT", "NA"):
        raise ValueError("not a missing value")
    pandas = sys.modules.get("pandas")
    return vars(pandas).get(tree["v"]) if pandas is not None else None


_FLAVOURS: dict[str, tuple[type[PurePath], type[PurePath], str]] = {
    "PosixPath": (PurePosixPath, PosixPath, "posix"),
    "WindowsPath": (PureWindowsPath, WindowsPath, "nt"),
    "PurePosixPath": (PurePosixPath, PurePosixPath, ""),
    "PureWindowsPath": (PureWindowsPath, PureWindowsPath, ""),
}
_DECODERS: dict[str, Decoder] = {
    PREVIEW: lambda _, tree: NotStored(str(tree["type"]), str(tree["text"])),
    "str": _numpy_too(lambda _, tree: unpack(tree["b64"])),
    "int": _numpy_too(lambda _, tree: int(tree["hex"], 16)),
    "float": _numpy_too(lambda _, tree: float(tree["v"])),
    "complex": _numpy_too(_complex),
    "bytes": _numpy_too(_bytes),
    "bytearray": lambda reader, tree: bytearray(_bytes(reader, tree)),
    "dict": _dict,
    "tuple": _tuple,
    "set": _set,
    "frozenset": _frozenset,
    "range": _range,
    "datetime": _datetime,
    "date": lambda _, tree: date.fromisoformat(tree["v"]),
    "time": _time,
    "timedelta": _timedelta,
    "decimal": lambda _, tree: Decimal(tree["v"]),
    "fraction": _fraction,
    "uuid": lambda _, tree: UUID(tree["v"]),
    "path": _path,
    "ndarray": read_array,
    "npscalar": read_scalar,
    "masked": read_masked,
    "pandas": _pandas,
    "enum": rebuild,
    "dataclass": rebuild,
    "namedtuple": rebuild,
    "pydantic": rebuild,
}
_READER = Reader(hashing=False)
_KEYS = Reader(hashing=True)
