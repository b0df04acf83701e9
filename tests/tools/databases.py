"""How tests name the databases of their server."""

from __future__ import annotations

from jobnb.db.embedded import EmbeddedServer


def make_url(server: EmbeddedServer, database: str) -> str:
    parts = server.conninfo()
    return f"postgresql://{parts['user']}@/{database}?host={parts['host']}"
