"""Objects of classes that this process has already loaded, made without running any code of theirs.

Classes are found by walking dictionaries, so nothing is imported and no `__getattr__` runs; objects are made
by `object.__new__` and filled slot by slot, so no `__init__`, `__post_init__`, validator or default factory
runs. What can't be had that way comes back as `Stored`.
"""

from __future__ import annotations

import dataclasses
import enum
import sys
import types
from typing import TYPE_CHECKING, Any

from jobnb.values.preview import is_generated
from jobnb.values.stored import Stored
from jobnb.values.tags import TAG

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobnb.values.decode import Reader, Tag

_MISSING: Any = object()
_CALL_ENUM: Callable[[Any, int], Any] = enum.EnumType.__call__
_QUIET_MODULES = frozenset({"enum", "pydantic"})
"""Packages whose `__hash__` and `__eq__` are not the user's code."""


class Unbuildable(Exception):
    """The class here is not the one that was stored, or can't be filled quietly."""


def rebuild(reader: Reader, tree: Tag) -> Any:
    """The object of a tag: of its own class where that is loaded, else `Stored`."""
    fields = reader.node(tree["fields"])
    module, qualname = tree["module"], tree["class"]
    kind = _find_class(module, qualname)
    if kind is not None and not (reader.hashing and not _hashes_quietly(kind)):
        try:
            return _BUILDERS[tree[TAG]](kind, fields, reader, tree)
        except (Unbuildable, TypeError, AttributeError):
            return _stand_in(reader, tree, fields)
    return _stand_in(reader, tree, fields)


def _stand_in(reader: Reader, tree: Tag, fields: dict[str, Any]) -> Stored:
    extra = reader.node(tree["extra"]) if "extra" in tree else {}
    return Stored(tree[TAG], tree["module"], tree["class"], fields | extra)


def _find_class(module: str, qualname: str) -> type | None:
    loaded = sys.modules.get(module)
    if not isinstance(loaded, types.ModuleType):
        return None
    names = object.__getattribute__(loaded, "__dict__")  # a lazy module would load itself on any other lookup
    found: object = None
    for name in qualname.split("."):
        found = names.get(name)
        if not isinstance(found, type):
            return None
        names = _names_of(found)
    return found if isinstance(found, type) else None


def _names_of(kind: type) -> Any:
    return type.__dict__["__dict__"].__get__(kind)


def _lookup(kind: type, name: str) -> Any:
    """What stands in the class or its bases under a name, with no descriptor at work."""
    return next((_names_of(base)[name] for base in kind.__mro__ if name in _names_of(base)), _MISSING)


def _hashes_quietly(kind: type) -> bool:
    return all(_is_quiet(_lookup(kind, name)) for name in ("__hash__", "__eq__"))


def _is_quiet(method: object) -> bool:
    if not isinstance(method, types.FunctionType):
        return True  # a slot of a built-in base
    return is_generated(method) or str(method.__globals__.get("__name__")).partition(".")[0] in _QUIET_MODULES


def _enum(kind: Any, fields: dict[str, Any], _reader: Reader, _tree: Tag) -> Any:
    if not isinstance(kind, enum.EnumType):
        raise Unbuildable
    member = _names_of(kind)["_member_map_"].get(fields["name"])
    if member is not None:
        return member
    if enum.Flag in kind.__mro__ and type(fields["value"]) is int and _is_plain_flag(kind):
        return _CALL_ENUM(kind, fields["value"])
    raise Unbuildable


def _is_plain_flag(kind: type) -> bool:
    """True if a combination of members is made by enum's own code alone."""
    return all(
        _lookup(kind, name) is _lookup(enum.IntFlag if int in kind.__mro__ else enum.Flag, name)
        for name in ("_missing_", "_new_member_", "__init__")
    )


def _dataclass(kind: Any, fields: dict[str, Any], _reader: Reader, _tree: Tag) -> Any:
    declared = _lookup(kind, "__dataclass_fields__")
    if declared is _MISSING or {field.name for field in dataclasses.fields(kind)} != set(fields):
        raise Unbuildable
    made: Any = object.__new__(kind)
    for name, value in fields.items():
        slot = _lookup(kind, name)
        if hasattr(type(slot), "__set__") and not isinstance(slot, types.MemberDescriptorType):
            raise Unbuildable  # a property or another descriptor of the user's would run
        object.__setattr__(made, name, value)
    return made


def _namedtuple(kind: Any, fields: dict[str, Any], _reader: Reader, _tree: Tag) -> Any:
    names = _lookup(kind, "_fields")
    if tuple not in kind.__mro__ or not isinstance(names, tuple) or set(names) != set(fields):
        raise Unbuildable
    return tuple.__new__(kind, [fields[name] for name in names])


def _model(kind: Any, fields: dict[str, Any], reader: Reader, tree: Tag) -> Any:
    """Fill a model's own slots: `model_construct` would run default factories and `model_post_init`."""
    base = getattr(sys.modules.get("pydantic.main"), "BaseModel", None)
    if base not in kind.__mro__ or not set(fields) <= set(kind.model_fields):
        raise Unbuildable
    made = object.__new__(kind)
    slots = {
        "__dict__": fields,
        "__pydantic_fields_set__": set(tree["set"]),
        "__pydantic_extra__": reader.node(tree["extra"]) if "extra" in tree else _no_extra(kind),
        "__pydantic_private__": {} if kind.__private_attributes__ else None,
    }
    for name, value in slots.items():
        object.__setattr__(made, name, value)
    return made


def _no_extra(kind: Any) -> dict[str, Any] | None:
    return {} if kind.model_config.get("extra") == "allow" else None


_BUILDERS: dict[str, Callable[[Any, dict[str, Any], Reader, Tag], Any]] = {
    "enum": _enum,
    "dataclass": _dataclass,
    "namedtuple": _namedtuple,
    "pydantic": _model,
}
