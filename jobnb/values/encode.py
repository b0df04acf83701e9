"""`encode`: any value at all becomes JSON that jsonb takes, as much of it as can be kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from json.encoder import encode_basestring_ascii
from typing import Any, NamedTuple

from jobnb.errors import InvalidInput
from jobnb.values.kinds import encoder_for
from jobnb.values.order import key_orders
from jobnb.values.preview import preview_in_time
from jobnb.values.tags import MAX_INTEGER, MAX_JSON
from jobnb.values.walk import TOO_BIG, GiveUp, Walk, preview_tag


class Encoded(NamedTuple):
    """A value as it is stored.

    Attributes:
        json: strict JSON in ASCII on one line, which jsonb takes.
        order: the orders of keys that jsonb loses, as JSON; None if it loses none.
        error: why the value is not stored whole; None if it is.
        warnings: what was changed in it.
    """

    json: str
    order: str | None
    error: str | None
    warnings: tuple[str, ...]


def encode(value: object) -> Encoded:
    """Encode a value; never raises, and never takes anything from a generator."""
    if value is None:
        return _NONE
    return _encode_scalar(value) or _encode(value)


def _encode_scalar(value: Any) -> Encoded | None:
    """Encode the commonest values without a walk."""
    kind = type(value)
    if kind is str and len(value) < 1000 and value.isascii() and "\x00" not in value:
        return Encoded(encode_basestring_ascii(value), None, None, ())
    if kind is bool or (kind is int and -MAX_INTEGER <= value <= MAX_INTEGER):
        return Encoded(_to_json(value), None, None, ())
    return None


def encode_fields(mapping: Mapping[str, Any]) -> Encoded:
    """Encode a mapping with text keys, which becomes a JSON object.

    Raises:
        InvalidInput: it is no mapping, its keys are not texts, or it can't be stored as an object.
    """
    if not isinstance(mapping, Mapping):
        raise InvalidInput(
            f"result is a {type(mapping).__name__}: give a dict, such as {{'result': value}}",
            argument="result",
        )
    if not all(isinstance(key, str) for key in mapping):
        raise InvalidInput("result has keys that are not texts: give a dict with text keys", "result")
    encoded = encode(dict(mapping))
    if encoded.error is not None and encoded.json.startswith('{"$t":"preview"'):
        raise InvalidInput(f"result can't be stored: {encoded.error}", "result")
    return encoded


def _encode(value: object) -> Encoded:
    walk = Walk(encoder_for)
    try:
        tree = walk.node(value)
        text = _to_json(tree)
        if len(text) > MAX_JSON:
            raise GiveUp(TOO_BIG)
        orders = key_orders(tree) if walk.reordered else []
        order = _to_json(orders) if orders else None
        return Encoded(text, order, walk.error(), tuple(walk.warnings))
    except (GiveUp, MemoryError, RecursionError) as reason:
        text, _ = preview_in_time(value, 2000)
        return Encoded(_to_json(preview_tag(value, text)), None, str(reason) or type(reason).__name__, ())


_to_json = json.JSONEncoder(allow_nan=False, separators=(",", ":"), check_circular=False).encode
_NONE = Encoded("null", None, None, ())
