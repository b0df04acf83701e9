"""The NumPy types of numbers and text, as a list beside the value.

In the value a NumPy number is a plain number, so that SQL reads a metric whoever computed it. Its type is found by
counting the leaves of the tree (what is no list and no object), with the keys of every object in jsonb's order. So
wrapping a value as `{"result": value}` moves nothing. The list holds the number of all leaves, then runs: how many
leaves to pass over, how many leaves of one type follow, and that type (`f4`; `U` for text).
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NamedTuple

from jobnb.values.tags import Json, jsonb_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_FITTING = {"b": bool, "i": int, "u": int, "f": float, "c": complex, "U": str, "S": bytes}
_CODES = frozenset(["b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16", "U", "S"])


class Typed(NamedTuple):
    """A leaf on its way out of the walk, with its NumPy type."""

    value: Json
    code: str


def type_code(dtype: Any) -> str | None:
    """How a dtype is written down; None for one whose scalars can't be a plain number or text."""
    code = dtype.kind if dtype.kind in "US" else f"{dtype.kind}{dtype.itemsize}"
    return code if code in _CODES else None


def take_types(tree: Json) -> tuple[Json, list[int | str] | None]:
    """Replace every `Typed` in a tree, in place; gives the tree and the list, or None if there was none."""
    taken = _Taken()
    return taken.node(tree), taken.listed()


def give_types(tree: Json, listed: Any) -> Json:
    """A copy of the tree with the types of `take_types`.

    Where there is no NumPy, or the list does not fit the tree (somebody edited the row), the tree as it is.
    """
    codes = _codes(listed)
    if codes is None or _count(tree) != listed[0]:
        return tree
    return _give(tree, codes)


def as_numpy(value: object, code: Any) -> Any:
    """The NumPy scalar of a type; the value itself where it does not fit, or there is no NumPy."""
    np = _numpy()
    if np is None or code not in _CODES or type(value) is not _FITTING[code[0]]:
        return value
    try:
        with np.errstate(all="ignore"):
            made = np.dtype(code).type(value)
    except OverflowError:
        return value
    return made if repr(made.item()) == repr(value) else value  # a float16 would be infinite, say


class _Taken:
    def __init__(self) -> None:
        self._leaves = 0
        self._runs: list[list[Any]] = []  # first leaf, length, code

    def node(self, tree: Json) -> Json:
        if type(tree) is list:
            for index, item in enumerate(tree):
                tree[index] = self.node(item)
        elif type(tree) is dict:
            for key in sorted(tree, key=jsonb_key):
                tree[key] = self.node(tree[key])
        else:
            if type(tree) is Typed:
                self._take(tree.code)
                tree = tree.value
            self._leaves += 1
        return tree

    def listed(self) -> list[int | str] | None:
        listed: list[int | str] = [self._leaves]
        passed = 0
        for first, length, code in self._runs:
            listed += [first - passed, length, code]
            passed = first + length
        return listed if self._runs else None

    def _take(self, code: str) -> None:
        last = self._runs[-1] if self._runs else None
        if last is not None and last[0] + last[1] == self._leaves and last[2] == code:
            last[1] += 1
        else:
            self._runs.append([self._leaves, 1, code])


def _codes(listed: Any) -> Iterator[str | None] | None:
    """The type of each leaf in turn, or None if that is no list of `take_types`."""
    if type(listed) is not list or len(listed) % 3 != 1 or type(listed[0]) is not int:
        return None
    runs = [tuple(listed[start : start + 3]) for start in range(1, len(listed), 3)]
    if not all(type(skip) is type(length) is int and type(code) is str for skip, length, code in runs):
        return None
    if any(skip < 0 or length < 0 for skip, length, _ in runs) or sum(a + b for a, b, _ in runs) > listed[0]:
        return None
    return _expanded(runs)


def _expanded(runs: Iterable[tuple[int, int, str]]) -> Iterator[str | None]:
    for skip, length, code in runs:
        for _ in range(skip):
            yield None
        for _ in range(length):
            yield code


def _count(tree: Json) -> int:
    if type(tree) is list:
        return sum(map(_count, tree))
    return sum(map(_count, tree.values())) if type(tree) is dict else 1


def _give(tree: Json, codes: Iterator[str | None]) -> Json:
    if type(tree) is list:
        return [_give(item, codes) for item in tree]
    if type(tree) is dict:
        given = {key: _give(tree[key], codes) for key in sorted(tree, key=jsonb_key)}
        return {key: given[key] for key in tree}
    code = next(codes, None)
    return tree if code is None else as_numpy(tree, code)


@functools.cache
def _numpy() -> Any:
    try:
        import numpy as np
    except ImportError:
        return None
    return np
