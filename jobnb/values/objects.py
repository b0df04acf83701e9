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


_HOLDERS = {"data", "maps"}
"""Where `UserDict` and the like keep their content."""


def object_tag(walk: Walk, stored_as: tuple[str, str, str], fields: Mapping[str, Any]) -> dict[str, Json]:
    """The tag of an object; `stored_as` is its kind, and the module and qualified name of its class."""
    kind, module, qualname = stored_as
    return {
        TAG: kind,
        "module": walk.text(module),
        "class": walk.text(qualname),
        "fields": walk.mapping(len(fields), fields.items(), Field),
    }


def attribute_pairs(walk: Walk, attributes: Mapping[str, Any], called: str) -> Json:
    """What can be stored of attributes that are no fields: a lock or a client there is no loss to the result."""
    kept = []
    for name, item in attributes.items():
        left_out = len(walk.left_out)
        tree = walk.child(Field(name), item)
        if len(walk.left_out) == left_out:
            kept.append([walk.text(name), tree])
        else:
            del walk.left_out[left_out:]
            walk.warnings[f"{called} that can't be stored were dropped"] = None
    return kept


def warn_of_attributes(walk: Walk, value: object) -> None:
    """Say so if an object that is stored as its content alone has attributes beside it."""
    if _attributes(value).keys() - _HOLDERS:
        walk.warnings[f"attributes of {type(value).__name__} beside its content were dropped"] = None


def encode_dataclass(walk: Walk, value: Any) -> Json:
    """Its declared fields (one that was never set stays unset), and what else was set on it."""
    names = [field.name for field in dataclasses.fields(value)]
    fields = {name: getattr(value, name) for name in names if hasattr(value, name)}
    tag = object_tag(walk, _stored_as("dataclass", value), fields)
    others = {name: item for name, item in _attributes(value).items() if name not in names}
    if others:
        tag["attributes"] = attribute_pairs(walk, others, "attributes beside the fields")
    return tag


def encode_namedtuple(walk: Walk, value: Any) -> Json:
    """Its fields by name."""
    warn_of_attributes(walk, value)
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


def _attributes(value: object) -> dict[str, Any]:
    """What the instance holds by name, whatever its class says of `__dict__`."""
    try:
        found = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return {}
    return {name: item for name, item in found.items() if isinstance(name, str)} if isinstance(found, dict) else {}


def _stored_as(kind: str, value: object) -> tuple[str, str, str]:
    return kind, str(type(value).__module__), type(value).__qualname__
