"""`Rehoming`: functions that were defined in a job look their global names up in the notebook, like any other.

They were made with the job's copy of the names. Left there, they would never see a name that a later cell assigns.
"""

from __future__ import annotations

import contextlib
from types import FunctionType
from typing import Any


class Rehoming:
    """Moves functions from one namespace to another; each of them once, so that two names of one stay the same.

    Args:
        old: the globals of the functions to move; all others are left alone.
        new: their globals from now on.
    """

    def __init__(self, old: dict[str, Any], new: dict[str, Any]) -> None:
        self._old, self._new = old, new
        self._moved: dict[FunctionType, FunctionType] = {}

    def __call__(self, value: Any) -> Any:
        """`value`, or the same function with its new globals; the methods of a class are changed in the class itself.

        A function inside another object (a decorator's wrapper, a list) keeps its globals.
        """
        if isinstance(value, FunctionType) and value.__globals__ is self._old:
            return self._moved.get(value) or self._move(value)
        if isinstance(value, type) and value.__module__ == self._old.get("__name__"):
            for name, member in list(vars(value).items()):
                if (moved := self._member(member)) is not member:
                    # a class that refuses keeps its method as it was
                    with contextlib.suppress(TypeError, AttributeError):
                        setattr(value, name, moved)
        return value

    def _member(self, member: Any) -> Any:
        if isinstance(member, FunctionType):
            return self(member)
        if isinstance(member, (staticmethod, classmethod)):
            moved = self(member.__func__)
            return member if moved is member.__func__ else type(member)(moved)
        if type(member) is property:
            getter, setter, deleter = self(member.fget), self(member.fset), self(member.fdel)
            if (getter, setter, deleter) != (member.fget, member.fset, member.fdel):
                return property(getter, setter, deleter, member.__doc__)
        return member

    def _move(self, function: FunctionType) -> FunctionType:
        code, defaults, closure = function.__code__, function.__defaults__, function.__closure__
        moved = self._moved[function] = FunctionType(code, self._new, function.__name__, defaults, closure)
        for name in ("__kwdefaults__", "__annotations__", "__qualname__", "__module__", "__doc__", "__type_params__"):
            if hasattr(function, name):
                setattr(moved, name, getattr(function, name))
        moved.__dict__.update(function.__dict__)
        return moved
