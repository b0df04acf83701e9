"""What jsonb loses of a value, as JSON beside it: the orders of keys, and the NumPy types of numbers and text.

Without types it is the list of orders, with them `{"order": ..., "numpy": ...}`; numpy_types.py has the latter.
The list of orders has one entry for each plain object (one without the tag) of two keys or more, in pre-order: its
keys, or None where jsonb keeps them anyway. Objects of fewer keys have no entry, so wrapping a value as
`{"result": value}` moves nothing. Children of tagged objects are visited in jsonb's order of their keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from jobnb.values.numpy_types import give_types
from jobnb.values.tags import TAG, Json, in_jsonb_order, jsonb_key

if TYPE_CHECKING:
    from collections.abc import Iterable


def beside(orders: list[list[str] | None] | None, types: list[int | str] | None) -> Json:
    """What stands beside a value whose orders, types or both jsonb loses; None if it loses nothing."""
    return orders if types is None else {"order": orders, "numpy": types}


def key_orders(tree: Json) -> list[list[str] | None]:
    """List the orders of a tree whose objects are in the user's order."""
    orders: list[list[str] | None] = []
    _collect(tree, orders)
    while orders and orders[-1] is None:
        orders.pop()
    return orders


def restore(tree: Json, kept: Any) -> Json:
    """Give the tree with what was kept `beside` it.

    Where an entry does not fit its object (somebody edited the row), it and all further ones are ignored.
    """
    if type(kept) is dict:
        return _in_order(give_types(tree, kept.get("numpy")), kept.get("order"))
    return _in_order(tree, kept)


def _in_order(tree: Json, orders: Any) -> Json:
    return _Restorer(orders).node(tree) if isinstance(orders, list) and orders else tree


def _collect(tree: Json, orders: list[list[str] | None]) -> None:
    if type(tree) is list:
        for item in tree:
            _collect(item, orders)
    elif type(tree) is dict:
        if TAG not in tree and len(tree) > 1:
            keys = list(tree)
            orders.append(None if in_jsonb_order(keys) else keys)
        for key in _visited(tree):
            _collect(tree[key], orders)


def _visited(tree: dict[str, Json]) -> Iterable[str]:
    return sorted(tree, key=jsonb_key) if TAG in tree else tree


class _Restorer:
    def __init__(self, orders: list[Any]) -> None:
        self._left = iter(orders)

    def node(self, tree: Json) -> Json:
        if type(tree) is list:
            return [self.node(item) for item in tree]
        if type(tree) is not dict:
            return tree
        keys = self._keys(tree) if TAG not in tree and len(tree) > 1 else _visited(tree)
        return {key: self.node(tree[key]) for key in keys}

    def _keys(self, tree: dict[str, Json]) -> Iterable[str]:
        order = next(self._left, None)
        if order is None:
            return tree
        if _fits(order, tree):
            return cast("list[str]", order)
        self._left = iter(())
        return tree


def _fits(order: Any, tree: dict[str, Json]) -> bool:
    if type(order) is not list or not all(type(key) is str for key in order):
        return False
    return len(order) == len(tree) and set(order) == set(tree)
