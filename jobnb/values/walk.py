"""The walk over a value that makes its JSON tree: limits, circles, warnings, and what is left out where.

A part that can't be stored leaves a preview in its place, and the walk goes on. What makes the whole
impossible (too deep, too much, a circle) ends the walk with `GiveUp`.
"""

from __future__ import annotations

import json
import threading
from itertools import islice
from types import NoneType
from typing import TYPE_CHECKING, Any, TypeAlias

from jobnb.values.advice import TO_FILE, why_not
from jobnb.values.preview import preview, preview_in_time
from jobnb.values.tags import (
    MAX_DEPTH,
    MAX_INTEGER,
    MAX_JSON,
    MAX_NODES,
    PREVIEW,
    TAG,
    Json,
    in_jsonb_order,
    type_name,
)
from jobnb.values.text import clean, is_clean, pack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Encoder: TypeAlias = Callable[["Walk", Any], Json]

PREVIEW_INSIDE = 300
"""Characters of a preview inside a structure; a value of its own gets 2000."""
MAX_PREVIEWS = 20
"""Parts whose repr is asked for; further ones show their type only."""
CHANGED = "it changed while it was being stored; return a copy of it"
TOO_BIG = f"it takes more than {MAX_JSON // 1024} KiB as JSON; return less of it, or {TO_FILE}"


class GiveUp(Exception):
    """The value as a whole can't be stored; the text says why."""


class Unstorable(Exception):
    """One part can't be stored; the text says why and what to do."""


class Field(str):
    """A step of a path that is an attribute, not an item."""

    __slots__ = ()


class Walk:
    """One walk over one value. `encoder_for` finds the encoder of a type, or None."""

    def __init__(self, encoder_for: Callable[[type], Encoder | None]) -> None:
        self.warnings: dict[str, None] = {}
        self.reordered = False  # some plain object is not in jsonb's order
        self.typed = False  # some leaf is `Typed`
        self.left_out: list[tuple[str, str]] = []  # path and reason
        self._encoder_for = encoder_for
        self._encoders: dict[type, Encoder | None] = {}
        self._path: list[object] = []
        self._open: set[int] = set()
        self._nodes = 0
        self._characters = 0
        self._reprs_end = True

    def node(self, value: Any) -> Json:
        """The tree of one value."""
        scalar = _SCALARS.get(type(value))
        if scalar is None:
            return self._compound(value)
        try:
            return scalar(self, value)
        except Unstorable as reason:
            return self._leave_out(value, str(reason), len(self._path))

    def child(self, step: object, value: Any) -> Json:
        """The tree of a value one step further down: a key, an index or a `Field`."""
        self._path.append(step)
        if len(self._path) > MAX_DEPTH:
            raise GiveUp(f"it is nested deeper than {MAX_DEPTH} levels; return a flatter structure")
        tree = self.node(value)
        self._path.pop()
        return tree

    def items(self, size: int, values: Iterable[Any]) -> list[Json]:
        """The trees of a sequence's items; `size` comes first, so that too many are never read."""
        self.count(size)
        return [self.child(index, item) for index, item in enumerate(_all(size, values))]

    def mapping(self, size: int, pairs: Iterable[tuple[Any, Any]], step: Callable[[Any], object] | None = None) -> Json:
        """A plain object, or a tagged list of items where the keys are not ones a plain object can have.

        Args:
            size: how many pairs there are, so that too many are never read.
            pairs: keys and values.
            step: makes the step of a path from a key, where it is not the key itself.
        """
        self.count(size)
        pairs = _all(size, pairs)
        keys = self._plain_keys(pairs)
        if keys is None:
            items = [[self.key(key), self.child(key, item)] for key, item in pairs]
            return {TAG: "dict", "items": items}
        self.reordered = self.reordered or not in_jsonb_order(keys)
        return {key: self.child(step(key) if step else key, item) for key, (_, item) in zip(keys, pairs, strict=True)}

    def key(self, key: Any) -> Json:
        """The tree of a key or a member of a set: unclean text is kept exactly, so that none become equal."""
        if type(key) is str and not is_clean(key):
            self.grow(4 * len(key))
            return {TAG: "str", "b64": pack(key)}
        return self.child(key, key)

    def text(self, text: str) -> str:
        """Text that jsonb takes; what had to be changed becomes a warning."""
        self.grow(len(text))
        if text.isascii() and "\x00" not in text:
            return text
        text, warnings = clean(text)
        self.warnings.update(dict.fromkeys(warnings))
        return text

    def count(self, nodes: int) -> None:
        """Add to the number of values met.

        Raises:
            GiveUp: the value holds too many.
        """
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise GiveUp(f"it holds more than {MAX_NODES:,} values; return less of it, or {TO_FILE}")

    def grow(self, characters: int) -> None:
        """Add to the length of the text to come, so that a walk ends long before memory does.

        Raises:
            GiveUp: the text will be too long.
        """
        self._characters += characters
        if self._characters > MAX_JSON:
            raise GiveUp(TOO_BIG)

    def error(self) -> str | None:
        """Say what was left out, where and why; None if nothing was."""
        if not self.left_out:
            return None
        shown = "; ".join(f"{path}: {reason}" if path else reason for path, reason in self.left_out[:3])
        more = len(self.left_out) - 3
        return shown + (f"; and {more} more" if more > 0 else "")

    def _plain_keys(self, pairs: list[tuple[Any, Any]]) -> list[str] | None:
        if not all(type(key) is str for key, _ in pairs):
            pairs = [(_as_plain_key(key), None) for key, _ in pairs]
        if not all(type(key) is str and key != TAG for key, _ in pairs):
            return None
        if len({clean(key)[0] for key, _ in pairs}) < len(pairs):
            return None
        return [self.text(key) for key, _ in pairs]

    def _compound(self, value: Any) -> Json:
        """Encode what is not a plain scalar, behind a guard: some of it is foreign code."""
        self.count(1)
        if id(value) in self._open:
            raise GiveUp("it contains itself (a circular reference); return a structure without the circle")
        self._open.add(id(value))
        depth = len(self._path)
        try:
            return self._encode(value)
        except Unstorable as reason:
            return self._leave_out(value, str(reason), depth)
        except BaseException as error:  # a property may call sys.exit(); the job is done all the same
            if isinstance(error, GiveUp) or is_interrupt(error):
                raise
            if _is_torn(error):
                raise GiveUp(CHANGED) from None
            kind, problem = type_name(type(value)), type_name(type(error))
            return self._leave_out(value, f"reading this {kind} raised {problem}", depth)
        finally:
            self._open.discard(id(value))

    def _encode(self, value: Any) -> Json:
        kind = type(value)
        if kind not in self._encoders:
            self._encoders[kind] = self._encoder_for(kind)
        encoder = self._encoders[kind]
        if encoder is None:
            raise Unstorable(why_not(value))
        return encoder(self, value)

    def _leave_out(self, value: Any, reason: str, depth: int) -> Json:
        del self._path[depth:]
        self.left_out.append((_path_text(self._path), reason))
        if len(self.left_out) > MAX_PREVIEWS or not self._reprs_end:
            return preview_tag(value, "")
        limit = PREVIEW_INSIDE if self._path else 2000
        try:
            text, self._reprs_end = preview_in_time(value, limit)
        except MemoryError:
            text = ""
        return preview_tag(value, text)


def preview_tag(value: object, text: str) -> Json:
    """What is stored in the place of a value that can't be."""
    return {TAG: PREVIEW, "type": clean(type_name(type(value)))[0], "text": text}


def is_interrupt(error: BaseException) -> bool:
    """True for a real Ctrl-C, which arrives in the main thread; anywhere else the value raised it."""
    return isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread()


def float_text(value: float) -> str | None:
    """The text of a float that jsonb and JSON readers would change; None for one they keep.

    jsonb holds numerics: no minus zero, and exponents written out, so 1e16 would come back as an integer. 1e-05 comes
    back as 0.00001, the same float; but 1e-300 would make a long text in every reader.
    """
    text = float.__repr__(value)
    return None if is_kept(text) else text


def is_kept(text: str) -> bool:
    """True if jsonb gives a float of this text back as it was."""
    mantissa, _, exponent = text.partition("e")
    return "n" not in mantissa and text != "-0.0" and (not exponent or (exponent[0] == "-" and len(exponent) == 3))


def _float(_walk: Walk, value: float) -> Json:
    text = float_text(value)
    return value if text is None else {TAG: "float", "v": text}


def _int(walk: Walk, value: int) -> Json:
    if -MAX_INTEGER <= value <= MAX_INTEGER:
        return value
    if value.bit_length() > 4 * MAX_JSON:
        raise Unstorable(f"an int of {value.bit_length():,} bits can't be stored; write it to a file")
    walk.grow(value.bit_length() // 4)
    return {TAG: "int", "hex": f"{value:x}"}  # decimal text ends at 4300 digits


def _str(walk: Walk, value: str) -> Json:
    if 12 * len(value) > MAX_JSON and _escaped_length(value) > MAX_JSON:
        raise Unstorable(f"a text of {len(value):,} characters can't be stored in the row; {TO_FILE}")
    return walk.text(value)


def _itself(_walk: Walk, value: Json) -> Json:
    return value


_SCALARS: dict[type, Encoder] = {NoneType: _itself, bool: _itself, int: _int, float: _float, str: _str}


def _as_plain_key(key: Any) -> Any:
    """Text for a key of a subclass of str (np.str_), but not for an enum's member, which is more."""
    if isinstance(key, str) and not hasattr(type(key), "_member_map_"):
        return str.__str__(key)
    return key


def _escaped_length(text: str) -> int:
    return len(json.dumps(text)) if len(text) <= MAX_JSON else len(text)


def _all(size: int, values: Iterable[Any]) -> list[Any]:
    """As many values as were announced: an `__iter__` of the user's may never end, and another thread may add some."""
    taken = list(islice(values, size + 1))
    if len(taken) > size:
        raise GiveUp(CHANGED)
    return taken


def _is_torn(error: BaseException) -> bool:
    return type(error) is RuntimeError and "during iteration" in repr(error.args[:1])


def _path_text(path: list[object]) -> str:
    return "".join(_step_text(step) for step in path)


def _step_text(step: object) -> str:
    if isinstance(step, Field):
        return f".{step}"
    return f"[{json.dumps(step[:50])}]" if type(step) is str else f"[{preview(step, 50)}]"
