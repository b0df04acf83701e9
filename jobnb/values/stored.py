"""What stands in for an object that can't be itself here: its class is not loaded, or it was never stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Mapping


class Stored:
    """The fields of an object whose class is not loaded in this process.

    Fields are attributes; `vars(stored)` is all of them. Read-only. Two are equal if class and fields are.
    """

    __slots__ = ("__dict__", "__stored_as__")
    __stored_as__: tuple[str, str, str]

    def __init__(self, kind: str, module: str, qualname: str, fields: Mapping[str, Any], /) -> None:
        object.__setattr__(self, "__stored_as__", (kind, module, qualname))
        self.__dict__.update(fields)

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.__dict__.items())
        return f"<stored {self.__stored_as__[2]}({shown})>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Stored):
            return NotImplemented
        return self.__stored_as__ == other.__stored_as__ and bool(self.__dict__ == other.__dict__)

    def __hash__(self) -> int:
        names = tuple(sorted(self.__dict__))
        try:
            return hash((self.__stored_as__, names, tuple(self.__dict__[name] for name in names)))
        except TypeError:  # a field is a list or the like: equal objects must still have equal hashes
            return hash((self.__stored_as__, names))

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(
            f"this stored {self.__stored_as__[2]} has no {name!r}: methods need the class itself, "
            f"which is not loaded here. Its fields: {', '.join(self.__dict__) or 'none'}",
            name=name,
            obj=self,
        )

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a stored {self.__stored_as__[2]} is read-only: {name!r} can't be changed")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a stored {self.__stored_as__[2]} is read-only: {name!r} can't be deleted")

    def __reduce__(self) -> tuple[type[Stored], tuple[Any, ...]]:
        return Stored, (*self.__stored_as__, dict(self.__dict__))


class NotStored:
    """The place of a value that could not be stored inside one that could.

    Attributes:
        type_name: `module.Qualname` of what was there.
        text: its repr, cut.
    """

    __slots__ = ("text", "type_name")

    def __init__(self, type_name: str, text: str) -> None:
        self.type_name, self.text = type_name, text

    def __repr__(self) -> str:
        return f"<not stored, {self.type_name}: {self.text}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, NotStored):
            return NotImplemented
        return (self.type_name, self.text) == (other.type_name, other.text)

    def __hash__(self) -> int:
        return hash((self.type_name, self.text))
