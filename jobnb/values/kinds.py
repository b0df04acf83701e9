"""The table of encoders by type: what Python itself brings. `foreign` adds NumPy, pandas and pydantic.

An encoder takes the walk and a value and gives its tree. It reads through the methods of the built-in base
(`dict.items(value)`), so that a subclass's own `__iter__` or `__getitem__` does not run.
"""

from __future__ import annotations

import base64
import collections
import dataclasses
import enum
import sys
import types
from array import array
from collections import deque
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import islice
from pathlib import PurePath
from typing import TYPE_CHECKING, Any
from uuid import UUID

from jobnb.values.advice import TO_FILE
from jobnb.values.foreign import loaded_encoders
from jobnb.values.stored import NotStored, Stored
from jobnb.values.tags import MAX_BYTES, MAX_NODES, PREVIEW, TAG, Json
from jobnb.values.walk import Encoder, Field, Unstorable, Walk, float_text


def encoder_for(kind: type) -> Encoder | None:
    """Find the encoder of a type by its bases, or None if it can't be stored."""
    if enum.Enum in kind.__mro__:
        return _enum
    encoders = {**ENCODERS, **loaded_encoders()}
    if dataclasses.is_dataclass(kind) and kind not in encoders:
        return _dataclass
    if tuple in kind.__mro__ and isinstance(getattr(kind, "_fields", None), tuple):
        return _namedtuple
    return next((encoders[base] for base in kind.__mro__ if base in encoders), None)


def object_tag(walk: Walk, name: str, kind: type, fields: dict[str, Any]) -> Json:
    """The tag of an object that is its class and its fields."""
    return _object_tag(walk, (name, kind.__module__, kind.__qualname__), fields)


def _object_tag(walk: Walk, stored_as: tuple[str, str, str], fields: dict[str, Any]) -> Json:
    name, module, qualname = stored_as
    steps = {Field(field): value for field, value in fields.items()}
    return {
        TAG: name,
        "module": walk.text(module),
        "class": walk.text(qualname),
        "fields": walk.fields(steps),
    }
