"""How the link to the database is doing, and what is on its other side."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from monitor.model.actions import Action


class LinkStatus(StrEnum):
    """How the link to the database is doing."""

    CONNECTING = "connecting"
    """Nothing was read yet."""
    UP = "up"
    SLOW = "slow"
    """A read has been under way for over a second."""
    DOWN = "down"
    """The last attempt failed; the next one is made by itself."""
    REFUSED = "refused"
    """The server answered, but this can't work (wrong password, no such database, other schema); tried again rarely."""


class Access(NamedTuple):
    """What may be done here.

    Attributes:
        may_cancel: jobs may be asked to stop.
        may_retry: jobs may be run again.
        may_delete: jobs may be deleted.
        reason: why not everything may: `--read-only`, a standby, or the privileges that the role lacks.
    """

    may_cancel: bool
    may_retry: bool
    may_delete: bool
    reason: str = ""

    def allows(self, action: Action) -> bool:
        """True if that action may be tried."""
        if action in (Action.CANCEL, Action.FORCE):
            return self.may_cancel
        return self.may_retry if action is Action.RETRY else self.may_delete


@dataclass(frozen=True)
class Server:
    """What was found on the other side, the last time a connection was made.

    Attributes:
        where: its address for people, without a password.
        version: PostgreSQL's version, such as `18.4`.
        database: the database's name.
        role: who we are there.
        is_embedded: True for jobnb's own server.
        is_standby: True for a read-only copy; it lags behind.
        has_pooler: True if a connection pooler stands between.
        sleeps: True if it is a server that goes to sleep when unused (Neon): polling keeps it awake, and costs money.
    """

    where: str
    version: str = ""
    database: str = ""
    role: str = ""
    is_embedded: bool = False
    is_standby: bool = False
    has_pooler: bool = False
    sleeps: bool = False


_NO_ACCESS = Access(may_cancel=False, may_retry=False, may_delete=False, reason="not connected yet")


@dataclass(frozen=True)
class LinkState:
    """How the link is doing right now; made without touching the network.

    Attributes:
        status: see `LinkStatus`.
        age: seconds since the newest data that was read; None if nothing was read yet.
        message: what is wrong and what to do, in a sentence; empty while all is well.
        retry_in: seconds until the next attempt; None while one is under way, or none is needed.
        server: what is known about the other side.
        access: what may be done.
        latency: seconds that a short read took lately; None before the first.
    """

    status: LinkStatus
    age: float | None
    message: str = ""
    retry_in: float | None = None
    server: Server = Server("a database")
    access: Access = _NO_ACCESS
    latency: float | None = None
