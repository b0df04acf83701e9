"""The monitor in a browser, through textual-serve: an optional part, `jobnb[serve]`."""

from __future__ import annotations

import shlex
import socket
import sys
from typing import TYPE_CHECKING

from jobnb.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

HOST = "127.0.0.1"


def serve(arguments: Sequence[str], port: int) -> int:
    """Serve the monitor on 127.0.0.1 until it is interrupted; every browser tab gets a monitor of its own.

    Args:
        arguments: those of `python -m monitor` that each of them is started with.
        port: where to listen; there is no password, so never anywhere else than on this machine.

    Raises:
        ConfigurationError: textual-serve is not installed, or the port is taken.
    """
    try:
        from textual_serve.server import Server
    except ImportError:
        raise ConfigurationError("--serve needs textual-serve: pip install 'jobnb[serve]'") from None
    _check_port(port)
    command = shlex.join([sys.executable, "-m", "monitor", *arguments])
    Server(command, host=HOST, port=port, title="jobnb monitor").serve()
    return 0


def _check_port(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise ConfigurationError(f"port {port} of {HOST} can't be used: {error}; choose another one") from error
