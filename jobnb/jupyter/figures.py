"""pyplot keeps one list of open figures for the whole process: here every job gets one of its own.

Without that, two jobs that draw with `plt.plot` draw into each other's figures, and the end of any cell shows and
closes what a job is still drawing. `rcParams` stay common to all. The list is `Gcf.figs`, which is private: where
matplotlib has no such list, jobs draw as they always did, and `matplotlib.figure.Figure` is what works in threads.
"""

from __future__ import annotations

import contextvars
import logging
import sys
import threading
from collections import OrderedDict
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

from jobnb.tracking.imports import when_imported

_log = logging.getLogger("jobnb")
_own: contextvars.ContextVar[OrderedDict[Any, Any] | None] = contextvars.ContextVar("jobnb_figures", default=None)
_drawing = threading.Lock()
"""Two threads that render at once share matplotlib's caches; at least our own rendering takes turns."""


def install() -> None:
    """Give pyplot a list of figures that knows jobs, now or when it is imported."""
    when_imported("matplotlib._pylab_helpers", _install)


@contextmanager
def own_figures() -> Iterator[None]:
    """Within it, pyplot's figures are those made within it; at its end they are displayed and closed."""
    token = _own.set(OrderedDict())
    try:
        yield
    finally:
        try:
            _show_open()
        except Exception:
            _log.exception("jobnb: the figures of a job could not be shown")
        _own.reset(token)


class Figures(MutableMapping[Any, Any]):
    """An `OrderedDict` of figure managers that is another one in each job."""

    def __init__(self, common: OrderedDict[Any, Any]) -> None:
        self._common = common

    @property
    def here(self) -> OrderedDict[Any, Any]:
        """The one of the job that asks, or the one of everybody else."""
        own = _own.get()
        return self._common if own is None else own

    def __getitem__(self, key: Any) -> Any:
        return self.here[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        self.here[key] = value

    def __delitem__(self, key: Any) -> None:
        del self.here[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.here)

    def __reversed__(self) -> Iterator[Any]:
        return iter(reversed(self.here))

    def __len__(self) -> int:
        return len(self.here)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.here, name)

    def keys(self) -> Any:
        """Those of here."""
        return self.here.keys()

    def values(self) -> Any:
        """Those of here, in an order that can be reversed."""
        return self.here.values()

    def items(self) -> Any:
        """Those of here."""
        return self.here.items()


def _install(helpers: Any) -> None:
    if isinstance(getattr(getattr(helpers, "Gcf", None), "figs", None), OrderedDict):
        helpers.Gcf.figs = Figures(helpers.Gcf.figs)


def _show_open() -> None:
    """Show what the job has drawn and not shown, as the end of a cell does; then close it."""
    own, pyplot = _own.get(), sys.modules.get("matplotlib.pyplot")
    if not own or pyplot is None or "inline" not in pyplot.get_backend().lower():
        return  # a figure in a window or a widget has a life of its own
    from IPython.display import display

    with _drawing:
        for manager in list(own.values()):
            display(manager.canvas.figure)
        pyplot.close("all")
