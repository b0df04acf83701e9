"""A TCP proxy that behaves like a bad network, on command: the fault injector between jobnb and a server."""

from __future__ import annotations

import contextlib
import random
import select
import socket
import struct
import threading
import time
from enum import Enum

PIECE = 65_536
TICK = 0.02
"""Seconds between two looks at the mode."""


class Mode(Enum):
    """What happens to what comes in."""

    PASS = "passes on"
    REFUSE = "nobody listens: connection refused"
    RESET = "every new connection is reset at once"
    BLACK_HOLE = "connections stay open, and nothing passes any more, in either direction"


class ChaosProxy:
    """Listens on a free port of this machine and passes everything on to one server, unless told otherwise.

    Args:
        upstream: host and port of the server.

    Attributes:
        port: where it listens; the same from start to stop.
        latency: seconds that every piece of data is late, in each direction.
        stalls: how likely a piece of data is to be 0.2 s late, in [0, 1], as after a lost packet.
        accepted: how many connections there have been.
    """

    def __init__(self, upstream: tuple[str, int]) -> None:
        self.upstream = upstream
        self._mode = Mode.PASS
        self.latency = self.stalls = 0.0
        self.accepted = 0
        self._lost_answer: tuple[bytes, threading.Event] | None = None
        self._live: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._ended = False
        self._listening: socket.socket | None = self._listen(0)
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, name="chaos-proxy", daemon=True).start()

    @property
    def mode(self) -> Mode:
        """What happens to connections, those included that exist."""
        return self._mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        self._mode = mode
        while not self._ended and (self._listening is None) is not (mode is Mode.REFUSE):
            time.sleep(TICK / 10)

    def cut(self) -> None:
        """Reset every connection there is; new ones are possible if the mode says so."""
        with self._lock:
            live, self._live = self._live, set()
        for one in live:
            _reset(one)

    def lose_answer(self, marker: bytes) -> threading.Event:
        """Let the next request that contains `marker` reach the server, and cut its connection before the answer.

        Returns:
            Set once that has happened; the server has done then what it was asked for.
        """
        happened = threading.Event()
        self._lost_answer = (marker, happened)
        return happened

    def stop(self) -> None:
        """End, with all connections."""
        self._ended = True
        self.cut()
        if self._listening is not None:
            self._listening.close()

    def _listen(self, port: int) -> socket.socket:
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        listening.listen(128)
        return listening

    def _accept(self) -> None:
        while not self._ended:
            if self.mode is Mode.REFUSE:
                if self._listening is not None:
                    self._listening.close()
                    self._listening = None
                time.sleep(TICK)
                continue
            if self._listening is None:
                self._listening = self._listen(self.port)
            self._accept_one(self._listening)

    def _accept_one(self, listening: socket.socket) -> None:
        try:
            if not select.select([listening], [], [], TICK)[0]:
                return
            client, _ = listening.accept()
        except (OSError, ValueError):
            return  # closed by `stop`
        self.accepted += 1
        if self.mode is Mode.RESET:
            _reset(client)
        else:
            threading.Thread(target=self._serve, args=(client,), name="chaos-connection", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        self._remember(client)
        server = None
        try:
            while self.mode is Mode.BLACK_HOLE and not self._ended:
                time.sleep(TICK)
            server = socket.create_connection(self.upstream, timeout=10)
            server.settimeout(None)
            for one in (client, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._remember(server)
            while not self._ended and self._pass_on(client, server):
                pass
        except (OSError, ValueError):
            pass  # one of the two ends is gone: so is the other, below
        finally:
            for one in (client, server):
                self._drop(one)

    def _pass_on(self, client: socket.socket, server: socket.socket) -> bool:
        """Pass on what there is; False once one end has closed."""
        ready = select.select([client, server], [], [], 0.2)[0]
        for source in ready:
            if self.mode is Mode.BLACK_HOLE:
                time.sleep(TICK)  # the data stays where it is, and arrives late if the hole closes
                return True
            data = source.recv(PIECE)
            if not data:
                return False
            if delay := self.latency + (0.2 if random.random() < self.stalls else 0.0):
                time.sleep(delay)
            target = server if source is client else client
            if source is client and (happened := self._to_lose(data)) is not None:
                server.sendall(data)
                _wait_for_answer(server)
                happened.set()
                _reset(client)
                return False
            target.sendall(data)
        return True

    def _to_lose(self, data: bytes) -> threading.Event | None:
        """What to set when this request has been answered in vain; only one connection gets it."""
        with self._lock:
            if self._lost_answer is None or self._lost_answer[0] not in data:
                return None
            (_, happened), self._lost_answer = self._lost_answer, None
            return happened

    def _remember(self, one: socket.socket) -> None:
        with self._lock:
            self._live.add(one)

    def _drop(self, one: socket.socket | None) -> None:
        if one is not None:
            with self._lock:
                self._live.discard(one)
            with contextlib.suppress(OSError):
                one.close()


def _wait_for_answer(server: socket.socket) -> None:
    server.settimeout(10)
    answer = b""
    while answer[-6:-1] != b"Z\x00\x00\x00\x05":  # ReadyForQuery: it has done what it was asked for
        answer += server.recv(PIECE)


def _reset(one: socket.socket) -> None:
    """Close with RST instead of FIN, as when a machine in between forgot the connection."""
    with contextlib.suppress(OSError):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.shutdown(socket.SHUT_RD)  # wakes the thread that waits for it
    with contextlib.suppress(OSError):
        one.close()
