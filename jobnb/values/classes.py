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
from typing import TYPE_CHECKING, Any, cast

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
_SLOTS = (types.WrapperDescriptorType, types.MethodDescriptorType, types.NoneType)
"""What stands for `__hash__` and `__eq__` in classes written in C; None where a class has no hash."""


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
    extra = reader.node(tree["extra"]) if "extra" in tree else _pairs(reader, tree, "attributes")
    return Stored(tree[TAG], tree["module"], tree["class"], fields | extra)


def _find_class(module: str, qualname: str) -> type | None:
    loaded = sys.modules.get(module)
    if loaded is None or not issubclass(type(loaded), types.ModuleType):
        return None
    names = object.__getattribute__(loaded, "__dict__")  # a lazy module would load itself on any other lookup
    found: Any = None
    for name in qualname.split("."):
        found = names.get(name)
        if not issubclass(type(found), type):  # isinstance() would ask a proxy for its __class__
            return None
        names = _names_of(found)
    return cast("type", found)


def _names_of(kind: type) -> Any:
    return type.__dict__["__dict__"].__get__(kind)


def _bases_of(kind: type) -> tuple[type, ...]:
    """The class and its bases, read past whatever a metaclass does with `__mro__`."""
    bases: tuple[type, ...] = type.__dict__["__mro__"].__get__(kind)
    return bases


def _lookup(kind: type, name: str) -> Any:
    """What stands in the class or its bases under a name, with no descriptor at work."""
    return next((_names_of(base)[name] for base in _bases_of(kind) if name in _names_of(base)), _MISSING)


def _hashes_quietly(kind: type) -> bool:
    return all(_is_quiet(_lookup(kind, name)) for name in ("__hash__", "__eq__"))


def _is_quiet(method: object) -> bool:
    if type(method) is not types.FunctionType:
        return type(method) in _SLOTS  # anything else that can be called may be the user's
    return is_generated(method) or str(method.__globals__.get("__name__")).partition(".")[0] in _QUIET_MODULES


def _enum(kind: Any, fields: dict[str, Any], _reader: Reader, _tree: Tag) -> Any:
    if not issubclass(type(kind), enum.EnumType):
        raise Unbuildable
    member = _names_of(kind)["_member_map_"].get(fields["name"])
    if member is not None:
        return member
    if enum.Flag in _bases_of(kind) and type(fields["value"]) is int and _is_plain_flag(kind):
        return _CALL_ENUM(kind, fields["value"])
    raise Unbuildable


def _is_plain_flag(kind: type) -> bool:
    """True if a combination of members is made by enum's own code alone."""
    return all(
        _lookup(kind, name) is _lookup(enum.IntFlag if int in _bases_of(kind) else enum.Flag, name)
        for name in ("_missing_", "_new_member_", "__init__")
    )


def _dataclass(kind: Any, fields: dict[str, Any], reader: Reader, tree: Tag) -> Any:
    if _declared_fields(kind) != set(fields):
        raise Unbuildable
    made: Any = object.__new__(kind)
    for name, value in (fields | _pairs(reader, tree, "attributes")).items():
        slot = _lookup(kind, name)
        if type(slot) is not types.MemberDescriptorType and _lookup(type(slot), "__set__") is not _MISSING:
            raise Unbuildable  # a property or another descriptor of the user's would run
        object.__setattr__(made, name, value)
    return made


def _declared_fields(kind: type) -> set[str] | None:
    declared = _lookup(kind, "__dataclass_fields__")
    if type(declared) is not dict:
        return None
    holder: Any = types.SimpleNamespace(__dataclass_fields__=declared)  # so that the class itself is not asked
    return {field.name for field in dataclasses.fields(holder)}


def _namedtuple(kind: Any, fields: dict[str, Any], _reader: Reader, _tree: Tag) -> Any:
    names = _lookup(kind, "_fields")
    if tuple not in _bases_of(kind) or type(names) is not tuple or sorted(names) != sorted(fields):
        raise Unbuildable
    return tuple.__new__(kind, [fields[name] for name in names])


def _model(kind: Any, fields: dict[str, Any], reader: Reader, tree: Tag) -> Any:
    """Fill a model's own slots: `model_construct` would run default factories and `model_post_init`."""
    base = getattr(sys.modules.get("pydantic.main"), "BaseModel", None)
    if base not in _bases_of(kind) or not set(fields) <= _model_fields(kind):
        raise Unbuildable
    made = object.__new__(kind)
    slots = {
        "__dict__": fields,
        "__pydantic_fields_set__": set(tree["set"]),
        "__pydantic_extra__": reader.node(tree["extra"]) if "extra" in tree else _no_extra(kind),
        "__pydantic_private__": _pairs(reader, tree, "private") if _lookup(kind, "__private_attributes__") else None,
    }
    for name, value in slots.items():
        object.__setattr__(made, name, value)
    return made


def _model_fields(kind: type) -> set[str]:
    found = (_lookup(kind, name) for name in ("__pydantic_fields__", "model_fields"))  # the latter up to pydantic 2.9
    return set(next((fields for fields in found if type(fields) is dict), ()))


def _pairs(reader: Reader, tree: Tag, name: str) -> dict[str, Any]:
    return {key: reader.node(item) for key, item in tree.get(name, ())}


def _no_extra(kind: type) -> dict[str, Any] | None:
    return {} if _lookup(kind, "model_config").get("extra") == "allow" else None


_BUILDERS: dict[str, Callable[[Any, dict[str, Any], Reader, Tag], Any]] = {
    "enum": _enum,
    "dataclass": _dataclass,
    "namedtuple": _namedtuple,
    "pydantic": _model,
}
