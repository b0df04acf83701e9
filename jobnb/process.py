"""The runtimes of this process: one for each database. What happens to them at its exit, and after a fork.

They are kept on `sys`, so that reloading jobnb's modules does not make second ones.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from jobnb.runtime import Runtime

if TYPE_CHECKING:
    from jobnb.settings import Settings

_log = logging.getLogger("jobnb")
# a destructor may use jobnb while its own thread is at it
_registry_lock = threading.RLock()


def runtime_for(settings: Settings) -> Runtime:
    """This process's runtime for these settings; made if there is none.

    Once the process leaves it is a closed one, which answers questions and refuses jobs: nobody would wait for their
    end, and from Python 3.12 on no thread starts any more.
    """
    key = (settings.database_url, settings.home, settings.max_workers, settings.log_lines, settings.lease, os.getpid())
    with _registry_lock:
        registry = _runtimes()
        for other in [key for key, runtime in registry.items() if runtime.is_closed]:
            del registry[other]
        runtime = registry.get(key) or registry.setdefault(key, Runtime(settings))
        runtime.is_closed = runtime.is_closed or sys.__dict__.get("_jobnb_leaving", False)
        return runtime


def _runtimes() -> dict[tuple[Any, ...], Runtime]:
    registry: dict[tuple[Any, ...], Runtime] = sys.__dict__.setdefault("_jobnb_runtimes", {})
    return registry


def _leave() -> None:
    began = time.monotonic()
    with _registry_lock:
        sys.__dict__["_jobnb_leaving"] = True
        runtimes = list(_runtimes().values())
    for runtime in runtimes:
        try:
            # one grace for all of them
            left = runtime.settings.exit_grace - (time.monotonic() - began)
            runtime.close(max(0.0, left), at_exit=True)
        except Exception:
            _log.exception("jobnb: closing failed; what is not stored stays in the spool")


def _forget() -> None:
    global _registry_lock  # noqa: PLW0603 - another thread of the parent may have held it at the fork
    _registry_lock = threading.RLock()
    sys.__dict__["_jobnb_leaving"] = False
    for runtime in list(_runtimes().values()):
        runtime.forget()
    _runtimes().clear()


if not sys.__dict__.get("_jobnb_hooks"):
    sys.__dict__["_jobnb_hooks"] = True
    try:
        # earlier than atexit, which a Jupyter restart never reaches; private since Python 3.9
        threading._register_atexit(_leave)  # type: ignore[attr-defined] # noqa: SLF001
    except AttributeError:
        atexit.register(_leave)
    except RuntimeError:  # first used when the main thread had ended
        sys.__dict__["_jobnb_leaving"] = True
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_forget)
