"""Encoders of what NumPy, pandas and pydantic bring, found only where those are already imported."""

from __future__ import annotations

import base64
import io
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from jobnb.values.numpy_types import Typed, type_code
from jobnb.values.objects import attribute_pairs, object_tag
from jobnb.values.tags import MAX_ELEMENTS, MAX_INTEGER, PREVIEW, TAG, Json
from jobnb.values.walk import Unstorable, float_text

if TYPE_CHECKING:
    from jobnb.values.walk import Encoder, Walk

LISTED_ELEMENTS = 1000
"""Arrays of plain numbers up to here are lists, which SQL can read; larger ones are bytes: shorter."""
SECRET = "**********"


def loaded_encoders() -> dict[type, Encoder]:
    """The encoders of the classes that are loaded now."""
    found: dict[type, Encoder] = {}
    for module_name, name, encoder in FOREIGN:
        module = sys.modules.get(module_name)
        if module is not None and (thing := vars(module).get(name)) is not None:
            found[thing if isinstance(thing, type) else type(thing)] = encoder
    return found


def _model(walk: Walk, value: Any) -> Json:
    kind = type(value)
    known = kind.model_fields
    fields = {name: item for name, item in vars(value).items() if name in known}
    tag = object_tag(walk, ("pydantic", kind.__module__, kind.__qualname__), fields)
    extra = value.model_extra or {}
    tag["set"] = [walk.text(name) for name in (*fields, *extra) if name in value.model_fields_set]
    if extra:
        tag["extra"] = walk.mapping(len(extra), extra.items())
    if private := value.__pydantic_private__:
        tag["private"] = attribute_pairs(walk, private, "private attributes")
    return tag


def _secret(walk: Walk, _value: Any) -> Json:
    walk.warnings["secrets were stored masked"] = None
    return SECRET


def _masked_array(walk: Walk, value: Any) -> Json:
    np = sys.modules["numpy"]
    if value is np.ma.masked:
        return {TAG: "masked", "data": None}
    tag = {TAG: "masked", "data": walk.child("data", value.data)}
    if value.mask is not np.ma.nomask:
        tag["mask"] = walk.child("mask", np.broadcast_to(np.asarray(value.mask), value.shape))
    if value.dtype.kind in "biufcMmSU" and value.fill_value != np.ma.default_fill_value(value.dtype):
        tag["fill"] = walk.child("fill", value.fill_value)
    return tag


def _array(walk: Walk, value: Any) -> Json:
    np = sys.modules["numpy"]
    if value.size > MAX_ELEMENTS:
        raise Unstorable(
            f"a numpy.ndarray of {value.size:,} elements can't be stored in the row "
            f"(up to {MAX_ELEMENTS:,} can); numpy.save(path, it) and return the path"
        )
    plain = np.ndarray.view(value, np.ndarray)
    tag = {TAG: "ndarray", "dtype": plain.dtype.str, "shape": list(plain.shape)}
    return tag | _elements(walk, plain)


def _elements(walk: Walk, plain: Any) -> dict[str, Json]:
    kind = plain.dtype.kind
    if kind in "OT":  # Python objects; text of any length
        missing = {"na": walk.child("na", plain.dtype.na_object)} if hasattr(plain.dtype, "na_object") else {}
        return {"dtype": kind, "items": walk.items(plain.size, plain.ravel().tolist()), **missing}
    if kind in "biuf" and plain.size <= LISTED_ELEMENTS:
        items = plain.ravel().tolist()
        if all(_is_plain(item) for item in items):
            walk.count(len(items))
            return {"items": items}
    if kind in "biufcmMSU":
        return {"b64": _packed(walk, plain.tobytes())}
    if plain.dtype.hasobject:
        raise Unstorable("a structured array with Python objects can't be stored; return a list of dicts")
    file = io.BytesIO()
    # the version is named, because numpy.save warns when names of fields need one
    sys.modules["numpy"].lib.format.write_array(file, plain, version=(3, 0), allow_pickle=False)
    return {"npy": _packed(walk, file.getvalue())}


def _is_plain(item: object) -> bool:
    """True for a number that jsonb and every JSON reader keep."""
    if type(item) is float:
        return float_text(item) is None
    return type(item) is bool or (type(item) is int and -MAX_INTEGER <= item <= MAX_INTEGER)


def _packed(walk: Walk, data: bytes) -> str:
    walk.grow(len(data) * 4 // 3)
    return base64.b64encode(data).decode()


def _scalar(walk: Walk, value: Any) -> Json:
    """A plain number or text wherever Python's would be one, its type beside it; else a tag that names the type."""
    item, code = value.item(), type_code(value.dtype)
    if code is None or type(item) not in (bool, int, float, complex, bytes, str):
        tag: dict[str, Json] = _array(walk, sys.modules["numpy"].asarray(value))
        return tag | {TAG: "npscalar"}
    tree = walk.node(item)
    if type(tree) is dict:
        return tree if tree[TAG] == PREVIEW else tree | {"dtype": code}
    walk.typed = True
    return Typed(tree, code)


def _timestamp(walk: Walk, value: Any) -> Json:
    return walk.node(value.to_pydatetime(warn=False)) | {"pandas": [value.unit, value.nanosecond]}


def _timedelta(walk: Walk, value: Any) -> Json:
    whole = timedelta(value.days, value.seconds, value.microseconds)
    return walk.node(whole) | {"pandas": [value.unit, value.nanoseconds]}


def _nat(_walk: Walk, _value: Any) -> Json:
    return {TAG: "pandas", "v": "NaT"}


def _na(_walk: Walk, _value: Any) -> Json:
    return {TAG: "pandas", "v": "NA"}


FOREIGN: tuple[tuple[str, str, Encoder], ...] = (
    ("numpy", "generic", _scalar),
    ("numpy", "str_", _scalar),  # these two are found as str and bytes otherwise
    ("numpy", "bytes_", _scalar),
    ("numpy", "ndarray", _array),
    ("numpy.ma", "MaskedArray", _masked_array),
    ("pandas", "Timestamp", _timestamp),
    ("pandas", "Timedelta", _timedelta),
    ("pandas", "NaT", _nat),
    ("pandas", "NA", _na),
    ("pydantic.main", "BaseModel", _model),
    ("pydantic.types", "Secret", _secret),
    ("pydantic.types", "SecretStr", _secret),
    ("pydantic.types", "SecretBytes", _secret),
)
"""Module, name of the class (or of its only instance), encoder."""
