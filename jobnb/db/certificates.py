"""Why a server's certificate was not accepted: libpq says that it failed, and keeps OpenSSL's reason to itself."""

from __future__ import annotations

import os
import socket
import ssl
import struct
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobnb.db.urls import DatabaseURL

SECONDS = 2.0
"""How long the question may take."""
_SSL_REQUEST = struct.pack("!ii", 8, 80877103)  # https://www.postgresql.org/docs/current/protocol-message-formats.html


def reason(url: DatabaseURL) -> str | None:
    """OpenSSL's own words, such as `certificate has expired`, from a handshake of our own; None if it has none."""
    try:
        context = _context(dict(url.options).get("sslrootcert"))
        address = (os.environ.get("PGHOSTADDR") or url.host or "localhost", url.port or 5432)
        with socket.create_connection(address, timeout=SECONDS) as plain:
            plain.sendall(_SSL_REQUEST)
            if plain.recv(1) != b"S":
                return None
            context.wrap_socket(plain, server_hostname=url.host).close()
    except ssl.SSLCertVerificationError as error:
        return error.verify_message
    except (OSError, ValueError):
        return None
    return None


def _context(roots: str | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # libpq tells that one itself
    roots = roots or os.environ.get("PGSSLROOTCERT") or str(Path("~/.postgresql/root.crt").expanduser())
    if roots == "system":
        context.set_default_verify_paths()
    else:
        context.load_verify_locations(roots)
    return context
