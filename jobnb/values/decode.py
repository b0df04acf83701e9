"""`decode`: what `encode` stored becomes values again. Runs no code of the user's, and imports nothing but NumPy."""

from __future__ import annotations

import base64
import dataclasses
import enum
import sys
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePath, PureWindowsPath
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from jobnb.values.order import restore
from jobnb.values.stored import NotStored, Stored
from jobnb.values.tags import PREVIEW, TAG
from jobnb.values.text import unpack

if TYPE_CHECKING:
    from collections.abc import Callable


def decode(value: Any, order: Any = None) -> Any:
    """Make values of a stored tree; a tag that makes no sense stays the dict it is.

    Args:
        value: as `json.loads` gave it.
        order: the orders of keys stored beside it, likewise.
    """
    return _node(restore(value, order))


def _node(tree: Any) -> Any:
    if type(tree) is list:
        return [_node(item) for item in tree]
    if type(tree) is not dict:
        return tree
    if TAG not in tree:
        return {key: _node(item) for key, item in tree.items()}
    decoder = _DECODERS.get(tree[TAG]) if isinstance(tree[TAG], str) else None
    if decoder is not None:
        try:
            return decoder(tree)
        except Exception:
            return tree
    return tree


def _dict(tree: dict[str, Any]) -> Any:
    return {_node(key): _node(item) for key, item in tree["items"]}


def _datetime(tree: dict[str, Any]) -> datetime:
    return cast("datetime", _zoned(datetime.fromisoformat(tree["v"]), tree))


def _time(tree: dict[str, Any]) -> time:
    return cast("time", _zoned(time.fromisoformat(tree["v"]), tree))


def _zoned(moment: Any, tree: dict[str, Any]) -> Any:
    if "zone" in tree:
        from zoneinfo import ZoneInfo

        moment = moment.replace(tzinfo=ZoneInfo(tree["zone"]))
    return moment.replace(fold=tree.get("fold", 0))


def _timedelta(tree: dict[str, Any]) -> timedelta:
    days, seconds, microseconds = tree["v"]
    return timedelta(days, seconds, microseconds)


def _path(tree: dict[str, Any]) -> PurePath:
    return Path(tree["v"])


def _complex(tree: dict[str, Any]) -> complex:
    real, imaginary = tree["v"]
    return complex(float(real), float(imaginary))


def _numpy(tree: dict[str, Any]) -> Any:
    return _array({"dtype": tree["dtype"], "shape": [], "v": [tree["v"]]})[()]


def _array(tree: dict[str, Any]) -> Any:
    items = tree["v"]
    try:
        import numpy as np
    except ImportError:
        return _node(items)
    if tree["dtype"] == "O":
        array: Any = np.empty(len(items), dtype=object)
        array[:] = [_node(item) for item in items]
        return array.reshape(tree["shape"])
    dtype = np.dtype(tree["dtype"])
    if dtype.kind in "mM":
        return np.array([int(item) for item in items], dtype="int64").view(dtype).reshape(tree["shape"])
    if dtype.kind == "S":
        return np.array([bytes(item) for item in items], dtype=dtype).reshape(tree["shape"])
    return np.array([_node(item) for item in items], dtype=dtype).reshape(tree["shape"])


def _missing(name: str) -> Callable[[dict[str, Any]], Any]:
    def decoder(tree: dict[str, Any]) -> Any:
        del tree
        pandas = sys.modules.get("pandas")
        return getattr(pandas, name) if pandas is not None else None

    return decoder


def _object(tree: dict[str, Any]) -> Any:
    fields = {name: _node(item) for name, item in tree["fields"]}
    kind = _loaded_class(tree["module"], tree["class"])
    made = _BUILDERS[tree[TAG]](kind, fields) if kind is not None else None
    return Stored(tree[TAG], tree["module"], tree["class"], fields) if made is None else made


def _loaded_class(module: str, qualname: str) -> type | None:
    """The class, if it is loaded; looked up in the dictionaries themselves, so that no code of it runs."""
    loaded = sys.modules.get(module)
    found: Any = loaded
    for name in qualname.split("."):
        found = vars(found).get(name) if found is not None and hasattr(found, "__dict__") else None
    return found if isinstance(found, type) else None


def _make_enum(kind: type, fields: dict[str, Any]) -> Any:
    return kind._member_map_.get(fields["name"]) if issubclass(kind, enum.Enum) else None


def _make_dataclass(kind: type, fields: dict[str, Any]) -> Any:
    if not dataclasses.is_dataclass(kind) or {field.name for field in dataclasses.fields(kind)} != set(fields):
        return None
    made: Any = object.__new__(kind)
    for name, value in fields.items():
        object.__setattr__(made, name, value)
    return made


def _make_namedtuple(kind: type, fields: dict[str, Any]) -> Any:
    if not issubclass(kind, tuple) or getattr(kind, "_fields", None) != tuple(fields):
        return None
    return tuple.__new__(kind, fields.values())


def _make_pydantic(kind: type, fields: dict[str, Any]) -> Any:
    from pydantic import BaseModel

    if not issubclass(kind, BaseModel):
        return None
    made = BaseModel.__new__(kind)
    for name, value in (("__dict__", fields), ("__pydantic_fields_set__", set(fields)),
                        ("__pydantic_extra__", None), ("__pydantic_private__", None)):  # fmt: skip
        object.__setattr__(made, name, value)
    return made


_BUILDERS: dict[str, Callable[[type, dict[str, Any]], Any]] = {
    "enum": _make_enum,
    "dataclass": _make_dataclass,
    "namedtuple": _make_namedtuple,
    "pydantic": _make_pydantic,
}

_DECODERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    PREVIEW: lambda tree: NotStored(tree["type"], tree["text"]),
    "str": lambda tree: unpack(tree["b64"]),
    "int": lambda tree: int(tree["hex"], 16),
    "float": lambda tree: float(tree["v"]),
    "dict": _dict,
    "tuple": lambda tree: tuple(_node(item) for item in tree["items"]),
    "set": lambda tree: {_node(item) for item in tree["items"]},
    "frozenset": lambda tree: frozenset(_node(item) for item in tree["items"]),
    "bytes": lambda tree: base64.b64decode(tree["b64"], validate=True),
    "bytearray": lambda tree: bytearray(base64.b64decode(tree["b64"], validate=True)),
    "datetime": _datetime,
    "date": lambda tree: date.fromisoformat(tree["v"]),
    "time": _time,
    "timedelta": _timedelta,
    "decimal": lambda tree: Decimal(tree["v"]),
    "fraction": lambda tree: Fraction(tree["v"]),
    "uuid": lambda tree: UUID(tree["v"]),
    "path": _path,
    "windows path": lambda tree: PureWindowsPath(tree["v"]),
    "complex": _complex,
    "range": lambda tree: range(*[_node(item) for item in tree["items"]]),
    "numpy": _numpy,
    "array": _array,
    "NaT": _missing("NaT"),
    "NA": _missing("NA"),
    "enum": _object,
    "dataclass": _object,
    "namedtuple": _object,
    "pydantic": _object,
}
