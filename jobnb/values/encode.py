"""`encode`: any value becomes JSON that jsonb takes, or as much of it as can be kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from json.encoder import encode_basestring_ascii
from types import NoneType
from typing import TYPE_CHECKING, Any, NamedTuple

from jobnb.errors import InvalidInput
from jobnb.values.beside import beside, key_orders
from jobnb.values.kinds import encoder_for
from jobnb.values.numpy_types import take_types
from jobnb.values.preview import preview
from jobnb.values.tags import MAX_INTEGER, MAX_JSON, TAG
from jobnb.values.walk import TOO_BIG, GiveUp, Walk, is_interrupt, is_kept, preview_tag

if TYPE_CHECKING:
    from collections.abc import Callable


SHORT_TEXT = 1000
SMALL_OBJECT = 16


class Encoded(NamedTuple):
    """A value as it is stored.

    Attributes:
        json: strict JSON in ASCII on one line, which jsonb takes.
        order: JSON with what jsonb loses: the orders of keys, and NumPy's types; None if it loses nothing.
        error: why the value is not stored whole and what to do about it; None if it is.
        warnings: what was changed in it.
    """

    json: str
    order: str | None
    error: str | None
    warnings: tuple[str, ...]


def encode(value: object) -> Encoded:
    """Encode any value; what can't be stored is a preview, and `error` says why.

    Takes nothing from a generator. Raises nothing but, in the main thread, the `KeyboardInterrupt` of a Ctrl-C.
    """
    kind = type(value)
    try:
        if kind is dict:
            return _small_object(value) or _encode(value)  # type: ignore[arg-type] # it is a dict
        scalar = _SCALARS.get(kind)
        text = scalar(value) if scalar else None
        return _encode(value) if text is None else _new_encoded(Encoded, (text, None, None, ()))
    except GiveUp as reason:
        return _whole_preview(value, str(reason))
    except MemoryError:  # what the walk has built is free again by now; a preview might be too much all the same
        return _without_preview(value, "there was not enough memory to read it; return less of it")
    except BaseException as error:  # a metaclass that raises, a dict that changes, no stack left
        if is_interrupt(error):
            raise
        return _whole_preview(value, f"it could not be read ({type(error).__name__}); return a plain copy of it")


def encode_fields(argument: str, mapping: Mapping[str, Any]) -> Encoded:
    """Encode a mapping with text keys, which is stored as a JSON object; `argument` is what the caller calls it.

    Raises:
        InvalidInput: it is no mapping, or a key is no text.
    """
    if not isinstance(mapping, Mapping):
        raise InvalidInput(
            f"{argument} is {_shown(mapping)}: give a dict with text keys, such as {{'result': value}}",
            argument=argument,
        )
    fields = mapping if type(mapping) is dict else dict(mapping)
    wrong = next((key for key in list(fields) if not isinstance(key, str)), None)
    if wrong is not None or None in fields:
        raise InvalidInput(f"{argument} has the key {_shown(wrong)}: make every key a str", argument=argument)
    return encode(fields)


def _encode(value: object) -> Encoded:
    walk = Walk(encoder_for)
    tree = walk.node(value)
    types = None
    if walk.typed:
        tree, types = take_types(tree)
    text = _to_json(tree)
    kept = beside(key_orders(tree) if walk.reordered else None, types)
    order = None if kept is None else _to_json(kept)
    if len(text) > MAX_JSON or (order is not None and len(order) > MAX_JSON):
        raise GiveUp(TOO_BIG)
    return Encoded(text, order, walk.error(), tuple(walk.warnings))


def _whole_preview(value: object, reason: str) -> Encoded:
    try:
        return _left_out(value, preview(value), reason)
    except MemoryError:
        return _without_preview(value, reason)


def _without_preview(value: object, reason: str) -> Encoded:
    return _left_out(value, "", reason)


def _left_out(value: object, text: str, reason: str) -> Encoded:
    return Encoded(_to_json(preview_tag(value, text)), None, f"the value can't be stored: {reason}", ())


def _small_object(value: dict[Any, Any]) -> Encoded | None:
    """The shortcut for a few metrics: text keys, scalars; None if it is not one."""
    if len(value) > SMALL_OBJECT:
        return None
    members = []
    for key, item in value.items():
        scalar = _SCALARS.get(type(item))
        if scalar is None or type(key) is not str or key == TAG:
            return None
        name, text = _text(key), scalar(item)
        if name is None or text is None:
            return None
        members.append(f"{name}: {text}")
    order = _order_of(value) if len(value) > 1 else None
    return _new_encoded(Encoded, (f"{{{', '.join(members)}}}", order, None, ()))


def _order_of(value: dict[str, Any]) -> str | None:
    keys = list(value)
    ordered = sorted(keys)
    ordered.sort(key=len)  # ASCII, so characters are bytes
    return None if ordered == keys else f"[[{', '.join(map(encode_basestring_ascii, keys))}]]"


def _text(value: str) -> str | None:
    if len(value) < SHORT_TEXT and value.isascii() and "\x00" not in value:
        return encode_basestring_ascii(value)
    return None


def _int(value: int) -> str | None:
    return int.__repr__(value) if -MAX_INTEGER <= value <= MAX_INTEGER else None


def _float(value: float) -> str | None:
    text = float.__repr__(value)
    return text if is_kept(text) else None


def _bool(value: bool) -> str:
    return "true" if value else "false"


def _none(_value: None) -> str:
    return "null"


def _shown(value: object) -> str:
    return f"{preview(value, 60)} ({type(value).__name__})"


_SCALARS: dict[type, Callable[[Any], str | None]] = {
    NoneType: _none,
    bool: _bool,
    int: _int,
    float: _float,
    str: _text,
}
_new_encoded = tuple.__new__  # half the time of Encoded(...), which is Python code
_to_json = json.JSONEncoder(allow_nan=False, check_circular=False).encode
