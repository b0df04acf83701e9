"""`when_imported`: do something to a module when somebody imports it, without importing it ourselves."""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

_waiting: dict[str, list[Callable[[ModuleType], object]]] = {}


def when_imported(name: str, call: Callable[[ModuleType], object]) -> None:
    """Call `call(module)` once the module `name` is there: now if it has been imported, else right after it is.

    Args:
        name: the full name, `package.module`.
        call: what is to be done; it must raise nothing, for it would fail somebody's import.
    """
    if (module := sys.modules.get(name)) is not None:
        call(module)
        return
    _waiting.setdefault(name, []).append(call)
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)


class _Finder:
    """Finds what the path finder finds, and has the waiting calls made after the module was run."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> ModuleSpec | None:
        if name not in _waiting:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return None
        run = spec.loader.exec_module

        def run_and_call(module: ModuleType) -> None:
            run(module)
            for call in _waiting.pop(name, []):
                call(module)

        spec.loader.exec_module = run_and_call  # type: ignore[method-assign] # of this one loader
        return spec


_finder = _Finder()
