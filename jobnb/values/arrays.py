"""Arrays read back: NumPy's where NumPy can be imported, else nested lists of their numbers."""

from __future__ import annotations

import base64
import io
import math
import re
import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jobnb.values.decode import Reader, Tag

_DTYPE = re.compile(r"[<>|=][biufcmMSU]\d{1,4}(\[\w{1,12}\])?")
_CODES = {"b1": "?", "f2": "e", "f4": "f", "f8": "d"} | {
    f"{sign}{size}": code
    for sign, codes in (("i", "bhiq"), ("u", "BHIQ"))
    for size, code in zip((1, 2, 4, 8), codes, strict=True)
}


def read_array(reader: Reader, tree: Tag) -> Any:
    """An array, or nested lists."""
    try:
        import numpy as np
    except ImportError:
        return _nested(_numbers(reader, tree), _shape(tree))
    if "npy" in tree:
        return np.load(io.BytesIO(base64.b64decode(tree["npy"], validate=True)), allow_pickle=False)
    if tree["dtype"] == "O":
        return _objects(np, [reader.node(item) for item in tree["items"]]).reshape(_shape(tree))
    if tree["dtype"] == "T":
        missing = {"na_object": reader.node(tree["na"])} if "na" in tree else {}
        items = [reader.node(item) for item in tree["items"]]
        return np.array(items, dtype=np.dtypes.StringDType(**missing)).reshape(_shape(tree))
    dtype = np.dtype(_checked_dtype(tree))
    if "items" in tree:
        return np.array(tree["items"], dtype=dtype).reshape(_shape(tree))
    data = bytearray(base64.b64decode(tree["b64"], validate=True))  # a bytearray makes the array writable
    return np.frombuffer(data, dtype=dtype).reshape(_shape(tree))


def read_scalar(reader: Reader, tree: Tag) -> Any:
    """A NumPy scalar, stored as an array of no dimensions."""
    return read_array(reader, tree)[()]


def read_masked(reader: Reader, tree: Tag) -> Any:
    """A masked array; without NumPy, lists with None in the masked places are not made up: the tag stays."""
    import numpy as np

    if tree["data"] is None:
        return np.ma.masked
    mask = reader.node(tree["mask"]) if "mask" in tree else np.ma.nomask
    fill = reader.node(tree["fill"]) if "fill" in tree else None
    return np.ma.MaskedArray(reader.node(tree["data"]), mask=mask, fill_value=fill)


def _objects(np: Any, items: list[Any]) -> Any:
    array = np.empty(len(items), dtype=object)
    for index, item in enumerate(items):  # one by one, or NumPy would look into lists
        array[index] = item
    return array


def _checked_dtype(tree: Tag) -> str:
    text: str = tree["dtype"]
    if not _DTYPE.fullmatch(text):
        raise ValueError("not a dtype that encode writes")
    return text


def _shape(tree: Tag) -> tuple[int, ...]:
    return tuple(int(size) for size in tree["shape"])


def _numbers(reader: Reader, tree: Tag) -> list[Any]:
    if "items" in tree:
        return [reader.node(item) for item in tree["items"]]
    dtype = _checked_dtype(tree)
    order, code = dtype[0].replace("|", "="), _CODES[dtype[1:]]
    return [number for (number,) in struct.iter_unpack(order + code, base64.b64decode(tree["b64"], validate=True))]


def _nested(items: list[Any], shape: tuple[int, ...]) -> Any:
    if math.prod(shape) != len(items):
        raise ValueError("the shape does not fit")
    if not shape:
        return items[0]
    for size in reversed(shape[1:]):
        items = [items[start : start + size] for start in range(0, len(items), size)] if size else []
    return items
