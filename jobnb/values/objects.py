"""Encoders of objects that are a class and fields: enum members, dataclasses, named tuples."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from jobnb.values.tags import TAG, Json
from jobnb.values.walk import Field

if TYPE_CHECKING:
    from collections.abc import Mapping
    from enum import Enum

    from jobnb.values.stored import Stored
    from jobnb.values.walk import Walk


def object_tag(walk: Walk, stored_as: tuple[str, str, str], fields: Mapping[str, Any]) -> dict[str, Json]:
    """The tag of an object; `stored_as` is its kind, and the module and qualified name of its class."""
    kind, module, qualname = stored_as
    return {
        TAG: kind,
        "module": walk.text(module),
        "class": walk.text(qualname),
        "fields": walk.mapping(len(fields), fields.items(), Field),
    }


def encode_dataclass(walk: Walk, value: Any) -> Json:
    """Its declared fields; a field that was never set stays unset."""
    names = [field.name for field in dataclasses.fields(value)]
    fields = {name: getattr(value, name) for name in names if hasattr(value, name)}
    return object_tag(walk, _stored_as("dataclass", value), fields)


def encode_namedtuple(walk: Walk, value: Any) -> Json:
    """Its fields by name."""
    fields = dict(zip(type(value)._fields, tuple.__iter__(value), strict=True))
    return object_tag(walk, _stored_as("namedtuple", value), fields)


def encode_enum(walk: Walk, value: Enum) -> Json:
    """Name and value: the name finds the member again, the value is for readers without the class.

    A member whose value can't be stored (a function, say) is whole with its name alone: no loss to report.
    """
    left_out = len(walk.left_out)
    fields = {"name": value._name_, "value": value._value_}
    tag = object_tag(walk, _stored_as("enum", value), fields)
    del walk.left_out[left_out:]
    return tag


def encode_stored(walk: Walk, value: Stored) -> Json:
    """A stand-in goes back as what it stands for."""
    return object_tag(walk, value.__stored_as__, vars(value))


def _stored_as(kind: str, value: object) -> tuple[str, str, str]:
    return kind, str(type(value).__module__), type(value).__qualname__
