"""What the writer and the reader of stored values agree on: the tag, the limits, jsonb's order of keys.

A value that JSON can't hold is stored as an object with the reserved key `"$t"`, which names its kind; the
other keys belong to that kind. An object of the user's that has this key is itself stored under a tag, so no
plain object in a stored value ever has it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

Json: TypeAlias = Any
"""A tree of None, bool, int, float, str, list and dict with text keys."""

TAG = "$t"
PREVIEW = "preview"

MAX_JSON = 256 * 1024
"""Characters of JSON text."""
MAX_DEPTH = 64
MAX_NODES = 200_000
MAX_BYTES = 1024
MAX_ELEMENTS = 10_000
"""Elements of one array."""
MAX_TYPE_NAME = 200
MAX_INTEGER = 2**53
"""Integers up to here are exact in every reader of JSON, JavaScript included."""


def jsonb_key(key: str) -> tuple[int, bytes]:
    """Sort key of jsonb: it keeps an object's keys by length in UTF-8, then by bytes."""
    raw = key.encode()
    return len(raw), raw


def in_jsonb_order(keys: Sequence[str]) -> bool:
    """True if jsonb would keep these keys in the order given."""
    return len(keys) < 2 or sorted(keys, key=jsonb_key) == list(keys)


def type_name(kind: type) -> str:
    """`module.Qualname` for people, cut, and read past whatever a metaclass does with these attributes."""
    module = type.__dict__["__module__"].__get__(kind)
    qualname = type.__dict__["__qualname__"].__get__(kind)
    return f"{module}.{qualname}"[:MAX_TYPE_NAME]
