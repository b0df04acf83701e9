"""The table of encoders by type: what Python brings; `foreign` has NumPy's, pandas' and pydantic's.

An encoder takes the walk and a value and gives its tree. It reads through the methods of the built-in base
(`dict.items(value)`), so that a subclass's own `__iter__` or `__getitem__` does not run.
"""

from __future__ import annotations

import base64
import dataclasses
import enum
import sys
import types
from array import array
from collections import ChainMap, OrderedDict, UserDict, UserList, UserString, deque
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePath, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any
from uuid import UUID

from jobnb.values.advice import TO_FILE
from jobnb.values.foreign import loaded_encoders
from jobnb.values.objects import (
    encode_dataclass,
    encode_enum,
    encode_namedtuple,
    encode_stored,
    warn_of_attributes,
)
from jobnb.values.stored import NotStored, Stored
from jobnb.values.tags import MAX_BYTES, TAG, Json, type_name
from jobnb.values.text import is_clean, pack
from jobnb.values.walk import Unstorable

if TYPE_CHECKING:
    from jobnb.values.walk import Encoder, Walk


def encoder_for(kind: type) -> Encoder | None:
    """Find the encoder of a type by its bases, or None if it can't be stored."""
    if kind in ENCODERS:
        return ENCODERS[kind]
    if enum.Enum in kind.__mro__:
        return encode_enum
    encoders = ENCODERS | loaded_encoders()
    if dataclasses.is_dataclass(kind):
        return _fields_and_content if any(base in encoders for base in kind.__mro__) else encode_dataclass
    if tuple in kind.__mro__ and isinstance(getattr(kind, "_fields", None), tuple):
        return _namedtuple
    base = next((base for base in kind.__mro__ if base in encoders), None)
    if base is None:
        return None
    # what a library's own subclass has beside its content is the library's affair; a model's fields are all there
    is_foreign = base.__module__ != "pydantic.main" and _package(kind) != _package(base)
    return _content_only(encoders[base]) if is_foreign else encoders[base]


def _package(kind: type) -> str:
    return type_name(kind).partition(".")[0]


def _content_only(encoder: Encoder) -> Encoder:
    """For subclasses of what is stored as its content: a list, an array, a date."""

    def encode_content(walk: Walk, value: Any) -> Json:
        warn_of_attributes(walk, value)
        return encoder(walk, value)

    return encode_content


def _fields_and_content(_walk: Walk, value: Any) -> Json:
    """A dataclass that is a list, say: stored as either, it would lose the other half without a word."""
    encoders = ENCODERS | loaded_encoders()
    base = next(base.__name__ for base in type(value).__mro__ if base in encoders)
    raise Unstorable(f"{type(value).__name__} has both fields and the content of {base}; return a dict of the two")


def _text(walk: Walk, value: str) -> Json:
    return walk.node(str.__str__(value))


def _int(walk: Walk, value: int) -> Json:
    return walk.node(int.__pos__(value))


def _float(walk: Walk, value: float) -> Json:
    return walk.node(float.__pos__(value))  # + 0.0 would lose the sign of -0.0


def _complex(_walk: Walk, value: complex) -> Json:
    return {TAG: "complex", "re": repr(value.real), "im": repr(value.imag)}


def _bytes(walk: Walk, value: Any) -> Json:
    size = value.nbytes if isinstance(value, memoryview) else len(value)
    if size > MAX_BYTES:
        raise Unstorable(f"{size:,} bytes can't be stored in the row (up to {MAX_BYTES:,} can); {TO_FILE}")
    walk.grow(size)
    name = "bytearray" if isinstance(value, bytearray) else "bytes"
    return {TAG: name, "b64": base64.b64encode(bytes(value)).decode()}


def _dict(walk: Walk, value: dict[Any, Any]) -> Json:
    return walk.mapping(dict.__len__(value), dict.items(value))


def _ordered_dict(walk: Walk, value: OrderedDict[Any, Any]) -> Json:
    return walk.mapping(dict.__len__(value), OrderedDict.items(value))  # dict.items() misses move_to_end


def _wrapped_mapping(walk: Walk, value: Any) -> Json:
    return walk.mapping(len(value), value.items())


def _user_data(walk: Walk, value: Any) -> Json:
    return walk.node(value.data)


def _list(walk: Walk, value: list[Any]) -> Json:
    return walk.items(list.__len__(value), list.__iter__(value))


def _sized(walk: Walk, value: Any) -> Json:
    return walk.items(len(value), value)


def _tuple(walk: Walk, value: tuple[Any, ...]) -> Json:
    return {TAG: "tuple", "v": walk.items(tuple.__len__(value), tuple.__iter__(value))}


def _namedtuple(walk: Walk, value: Any) -> Json:
    """By its fields, or as a plain tuple where their names don't stand for its items one by one."""
    names = type(value)._fields
    if len(names) == tuple.__len__(value) == len(set(names)) and all(type(name) is str for name in names):
        return encode_namedtuple(walk, value)
    return _tuple(walk, value)


def _set(walk: Walk, value: Any) -> Json:
    name, base = ("set", set) if isinstance(value, set) else ("frozenset", frozenset)
    walk.count(base.__len__(value))
    return {TAG: name, "v": [walk.key(member) for member in list(base.__iter__(value))]}


def _range(walk: Walk, value: range) -> Json:
    return {TAG: "range", "v": [walk.node(part) for part in (value.start, value.stop, value.step)]}


def _datetime(_walk: Walk, value: datetime) -> Json:
    return _with_zone({TAG: "datetime", "v": datetime.isoformat(value)}, value)


def _date(_walk: Walk, value: date) -> Json:
    return {TAG: "date", "v": date.isoformat(value)}


def _time(_walk: Walk, value: time) -> Json:
    return _with_zone({TAG: "time", "v": time.isoformat(value)}, value)


def _with_zone(tag: dict[str, Json], value: datetime | time) -> Json:
    zoneinfo = sys.modules.get("zoneinfo")
    if zoneinfo is not None and isinstance(value.tzinfo, zoneinfo.ZoneInfo) and value.tzinfo.key:
        tag["zone"] = value.tzinfo.key
    if value.fold:
        tag["fold"] = 1
    return tag


def _timedelta(_walk: Walk, value: timedelta) -> Json:
    return {TAG: "timedelta", "v": [value.days, value.seconds, value.microseconds]}


def _decimal(walk: Walk, value: Decimal) -> Json:
    return {TAG: "decimal", "v": walk.text(Decimal.__str__(value))}


def _fraction(walk: Walk, value: Fraction) -> Json:
    return {TAG: "fraction", "v": [walk.node(value.numerator), walk.node(value.denominator)]}


def _uuid(_walk: Walk, value: UUID) -> Json:
    return {TAG: "uuid", "v": UUID.__str__(value)}


def _path(walk: Walk, value: PurePath) -> Json:
    bases = (*type(value).__mro__, PurePosixPath)
    flavour = next(base.__name__ for base in bases if base.__name__ in _FLAVOURS)
    text = PurePath.__str__(value)
    if is_clean(text):
        return {TAG: "path", "flavour": flavour, "v": walk.text(text)}
    walk.grow(4 * len(text))
    return {TAG: "path", "flavour": flavour, "b64": pack(text)}  # a file's name that is no UTF-8 has surrogates


def _not_stored(_walk: Walk, value: NotStored) -> Json:
    raise Unstorable(f"the value of type {value.type_name} was not stored before either")


_FLAVOURS = ("PosixPath", "WindowsPath", PurePosixPath.__name__, PureWindowsPath.__name__)

ENCODERS: dict[type, Encoder] = {
    str: _text,
    int: _int,
    float: _float,
    complex: _complex,
    bytes: _bytes,
    bytearray: _bytes,
    memoryview: _bytes,
    dict: _dict,
    OrderedDict: _ordered_dict,
    UserDict: _user_data,
    ChainMap: _wrapped_mapping,
    types.MappingProxyType: _wrapped_mapping,
    UserString: _user_data,
    UserList: _user_data,
    list: _list,
    deque: _sized,
    array: _sized,
    type({}.keys()): _sized,
    type({}.values()): _sized,
    type({}.items()): _sized,
    tuple: _tuple,
    set: _set,
    frozenset: _set,
    range: _range,
    datetime: _datetime,
    date: _date,
    time: _time,
    timedelta: _timedelta,
    Decimal: _decimal,
    Fraction: _fraction,
    UUID: _uuid,
    PurePath: _path,
    Stored: encode_stored,
    NotStored: _not_stored,
}
