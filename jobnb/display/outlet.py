"""The outlet: where the core tells of a new job. A notebook plugs in here; in a script nothing ever does.

The core knows no notebook. It looks once, when a service is first used, whether this process is an IPython shell; if
so the notebook's floor is loaded, and plugs its audience in.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


class Audience(Protocol):
    """What shows jobs; it is given their handles."""

    def announce(self, handles: Sequence[Any], display: str) -> None:
        """There are new jobs, to be shown in the way of the setting `display`. Raises nothing."""

    def show(self, handles: Sequence[Any]) -> None:
        """Show these jobs here and now.

        Raises:
            NotImplementedError: this is no place for moving pictures; show the `repr` instead.
        """


audience: Audience | None = None
"""Whoever shows jobs in this process; None in scripts. Set by the notebook's floor."""


def look_for_notebook() -> None:
    """Load the notebook's floor if this process is an IPython shell; next to nothing where it is none."""
    ipython = sys.modules.get("IPython")
    if audience is None and ipython is not None and ipython.get_ipython() is not None:
        importlib.import_module("jobnb.jupyter").install()


def show(handles: Sequence[Any]) -> None:
    """Show these jobs here and now, where something is plugged in.

    Raises:
        NotImplementedError: nothing is; by IPython's convention, what asked then shows the `repr`.
    """
    if audience is None:
        raise NotImplementedError("no notebook is plugged in")
    audience.show(handles)
