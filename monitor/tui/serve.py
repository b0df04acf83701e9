"""The monitor in a browser, through textual-serve: an optional part, `jobnb[serve]`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def serve(arguments: Sequence[str], port: int) -> int:
    """Serve the monitor on 127.0.0.1 until it is interrupted; every browser tab gets a monitor of its own.

    Args:
        arguments: those of `python -m monitor` that each of them is started with.
        port: where to listen; there is no password, so never anywhere else than on this machine.

    Raises:
        ConfigurationError: textual-serve is not installed, or the port is taken.
    """
    raise NotImplementedError
