"""A short text of any value, whatever the value does.

Built-in containers are read only as far as the text goes. The `__repr__` of other classes is foreign code: it
runs in a helper thread, where whatever it raises stays, and where it is left behind when it takes too long. A
real Ctrl-C arrives in the calling thread and so is told apart from one that a `__repr__` raises.
"""

from __future__ import annotations

import contextvars
import dataclasses
import threading
import time
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any

from jobnb.values.tags import type_name
from jobnb.values.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SECONDS = 1.0
MAX_LEVEL = 6
MAX_ITEMS = 100
_PLAIN_MODULES = frozenset({"builtins", "datetime", "decimal", "uuid", "pathlib", "pathlib._local", "fractions"})
_BRACKETS: dict[type, tuple[str, str]] = {
    list: ("[", "]"),
    tuple: ("(", ")"),
    set: ("{", "}"),
    frozenset: ("frozenset({", "})"),
    deque: ("deque([", "])"),
    dict: ("{", "}"),
}
_TEXTS: tuple[type, ...] = (str, bytes, bytearray)


def preview(value: object, limit: int = 2000) -> str:
    """Give the repr of any value, cut to `limit` characters; never raises, takes a second at most."""
    return preview_in_time(value, limit)[0]


def preview_in_time(value: object, limit: int, seconds: float = SECONDS) -> tuple[str, bool]:
    """Give the preview, and whether every `__repr__` ended within `seconds` altogether."""
    writer = _Writer(limit, seconds)
    try:
        writer.write(value, 0)
    except (KeyboardInterrupt, MemoryError):
        raise
    except BaseException as error:  # a container that changed meanwhile, a property that calls sys.exit()
        writer.put(f"<{type_name(type(value))}: its preview failed with {type_name(type(error))}>")
    text, _ = clean("".join(writer.parts))
    return (text if len(text) <= limit else text[: max(limit - 3, 0)] + "..."[:limit]), writer.in_time


def is_generated(function: object) -> bool:
    """True for a method that `dataclass` or `namedtuple` wrote, not the user.

    The file name does not tell: code of `python -c` has the same.
    """
    code = getattr(function, "__code__", None)
    scope = getattr(function, "__globals__", {})
    return getattr(code, "co_qualname", "").startswith("__create_fn__.") or scope.get("__name__") == "collections"


class _Writer:
    def __init__(self, limit: int, seconds: float) -> None:
        self.parts: list[str] = []
        self.in_time = True
        self._left = limit + 1  # one more than may be shown, so that the cut is seen
        self._seconds = seconds

    def put(self, text: str) -> None:
        if self._left > 0:
            self.parts.append(text[: self._left])
            self._left -= len(text)

    def write(self, value: Any, level: int) -> None:
        kind = type(value)
        base = next((base for base in kind.__mro__ if base in _BRACKETS or base in _TEXTS), object)
        own_repr = kind.__repr__ is not base.__repr__
        if base in _TEXTS and not own_repr:
            self._text(value, base)
        elif own_repr and (names := _shown_fields(kind)) is not None:
            self._fields(value, names, level)
        elif base in _BRACKETS and (not own_repr or kind.__module__ == "collections"):
            self._container(value, base, level)
        elif kind is int and value.bit_length() > 4096:
            self.put(f"<int of {value.bit_length():,} bits: {'-' * (value < 0)}0x{_top_bits(value):x}...>")
        else:
            self.put(self._foreign(value, kind))

    def _text(self, value: Any, base: Any) -> None:
        size, shown = base.__len__(value), max(self._left, 0)
        self.put(repr(base(base.__getitem__(value, slice(0, shown)))))
        if size > shown:
            self.put("...")

    def _container(self, value: Any, base: Any, level: int) -> None:
        name = type(value).__qualname__
        opening, closing = _BRACKETS[base]
        if type(value) is not base:
            opening, closing = f"{name}({opening}", f"{closing})"
        if base is set and not value:
            opening, closing = "set(", ")"
        if base is tuple and base.__len__(value) == 1:
            closing = "," + closing
        items = islice(base.items(value) if base is dict else base.__iter__(value), MAX_ITEMS)
        self.put(opening)
        self._items(items, base.__len__(value), level, self._pair if base is dict else self.write)
        self.put(closing)

    def _items(self, items: Iterable[Any], size: int, level: int, write: Callable[[Any, int], None]) -> None:
        for index, item in enumerate(items):
            if self._left <= 0:
                return
            self.put(", " if index else "")
            if level >= MAX_LEVEL:
                self.put("...")
                return
            write(item, level + 1)
        if size > MAX_ITEMS:
            self.put(f", ... {size:,} items")

    def _pair(self, pair: tuple[Any, Any], level: int) -> None:
        self.write(pair[0], level)
        self.put(": ")
        self.write(pair[1], level)

    def _fields(self, value: Any, names: list[str], level: int) -> None:
        def field(name: str, level: int) -> None:
            self.put(f"{name}=")
            self.write(getattr(value, name), level)

        self.put(f"{type(value).__qualname__}(")
        self._items(names, len(names), level, field)
        self.put(")")

    def _foreign(self, value: object, kind: type) -> str:
        if kind.__module__ in _PLAIN_MODULES:
            return repr(value)
        if not self.in_time:
            return f"<{type_name(kind)}>"
        start = time.monotonic()
        text = _repr_in_thread(value, max(self._left, 0), self._seconds)
        self._seconds = max(self._seconds - (time.monotonic() - start), 0.01)
        if text is None:
            self.in_time = False
            return f"<{type_name(kind)}: its repr takes too long>"
        return text


def _shown_fields(kind: Any) -> list[str] | None:
    """Names that a generated `__repr__` shows; None if the class has none or wrote its own."""
    written = getattr(kind.__repr__, "__wrapped__", kind.__repr__)  # dataclass wraps its own against recursion
    if not is_generated(written):
        return None
    if dataclasses.is_dataclass(kind):
        return [field.name for field in dataclasses.fields(kind) if field.repr]
    return list(kind._fields) if hasattr(kind, "_fields") else None


def _top_bits(value: int) -> int:
    return abs(value) >> max(value.bit_length() - 64, 0)


def _repr_in_thread(value: object, limit: int, seconds: float) -> str | None:
    """The repr, cut; what went wrong with it; or None if it did not end in time."""
    answer: list[str] = []

    def run() -> None:
        try:
            answer.append(str.__str__(repr(value))[:limit])
        except BaseException as error:  # sys.exit() in a __repr__ ends that __repr__ and nothing else
            answer.append(f"<{type_name(type(value))}: its repr raised {type_name(type(error))}>")

    helper = threading.Thread(target=contextvars.copy_context().run, args=(run,), name="jobnb-repr", daemon=True)
    try:
        helper.start()
    except RuntimeError:  # no new threads: the interpreter is going down
        return f"<{type_name(type(value))}>"
    helper.join(seconds)
    return answer[0] if answer else None
