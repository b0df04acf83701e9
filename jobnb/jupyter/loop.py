"""`enable_asyncio_run`: `asyncio.run(main())` works in a cell, although the kernel's event loop runs already.

The patch is nest_asyncio2's. nest_asyncio itself is archived; on ipykernel >= 7.1 its version 1.6 loses the cells that
were queued while a nested loop ran (ipykernel#1381, nest-asyncio2#4), and on Python 3.14 it breaks `asyncio.timeout`
and `TaskGroup`. Where somebody applied it before, it is taken over. Nothing of jobnb itself needs a nested loop.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

from jobnb.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

_MARK = "_nest_patched"
_OURS = "_nest_asyncio2"


def enable_asyncio_run() -> bool:
    """Let `asyncio.run` be called in this thread while its event loop runs; elsewhere it stays as it was.

    Returns:
        False if no loop runs in this thread: then `asyncio.run` works by itself, and nothing is changed.

    Raises:
        ConfigurationError: the running loop is not one of asyncio's own (uvloop), and can't be nested.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return False
    if not isinstance(loop, asyncio.BaseEventLoop):
        raise ConfigurationError(
            f"asyncio.run can't be nested in a loop of {type(loop).__module__}: write `await main()` instead"
        )
    if hasattr(asyncio, _MARK) and not hasattr(asyncio, _OURS):
        _take_over(loop)
    import nest_asyncio2

    nest_asyncio2.apply(loop)
    asyncio.run = _only_where_a_loop_runs(nest_asyncio2.run)
    return True


def _only_where_a_loop_runs(nested: Callable[..., Any]) -> Callable[..., Any]:
    """Leave `asyncio.run` to asyncio in every other thread: nested, it would never close the loops it makes there."""

    def run(main: Coroutine[Any, Any, Any], **options: Any) -> Any:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.runners.run(main, **options)
        return nested(main, **options)

    run.__doc__ = asyncio.runners.run.__doc__
    return run


def _take_over(loop: asyncio.AbstractEventLoop) -> None:
    """Make nest_asyncio2 patch over what nest_asyncio 1.6 patched; by itself it would leave that as it is."""
    for patched in (asyncio, type(loop)):
        if hasattr(patched, _MARK):
            delattr(patched, _MARK)
    if sys.version_info >= (3, 14):
        # there its classes written in Python no longer fit the rest of asyncio
        import _asyncio

        for name in ("Task", "Future"):
            original, room = getattr(_asyncio, name), getattr(asyncio, f"{name.lower()}s")
            setattr(asyncio, name, original)
            setattr(room, name, original)
            setattr(room, f"_C{name}", original)
