"""Ids of jobs: UUIDs of version 7 (RFC 9562), so that ids made later sort later."""

from __future__ import annotations

import os
import random
import threading
import time
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Iterator

_VARIANT = 1 << 63
_lock = threading.Lock()
_last = 0
# not secrets, only unlikely to meet: seeded by the operating system, and anew in a forked child
_random_bits = random.Random().getrandbits


def new_id_text() -> str:
    """A new id as 36 characters; ids of one process sort in the order in which they were made.

    The 12 bits behind the milliseconds hold their fraction, as section 6.2 (method 3) of the RFC allows, and a process
    never uses the same moment twice.
    """
    return _text(_new_moment(), _random_bits(62))


class IdRange:
    """The ids of many jobs: they share their moment and count on from a random number (method 2 of the RFC).

    Args:
        first: the first id, as text.
        count: how many there are.

    Attributes:
        head: what all of them begin with, and no other id of this process.
    """

    HEAD = 19
    """How many characters `head` has."""

    def __init__(self, first: str, count: int) -> None:
        self.head, self._first, self._count = first[: self.HEAD], _number(first), count

    @classmethod
    def new(cls, count: int) -> IdRange:
        """So many new ids."""
        return cls(_text(_new_moment(), _random_bits(61)), count)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[str]:
        return map(self.text, range(self._count))

    def text(self, index: int) -> str:
        """One of the ids."""
        tail = f"{self._first + index:016x}"
        return f"{self.head}{tail[:4]}-{tail[4:]}"

    def index(self, text: str) -> int | None:
        """The place of an id; None if it is not one of them."""
        place = _number(text) - self._first if text[: self.HEAD] == self.head else -1
        return place if 0 <= place < self._count else None


def _number(text: str) -> int:
    return int(text[IdRange.HEAD : 23] + text[24:], 16)


def _new_moment() -> int:
    global _last  # noqa: PLW0603 - the one counter of the process
    now = time.time_ns() * 4096 // 1_000_000
    with _lock:
        _last = now = now if now > _last else _last + 1
    return now


def _text(moment: int, number: int) -> str:
    # 48 bits of milliseconds, version 7, 12 bits of their fraction; then the variant and 62 bits of the number
    head, tail = f"{moment:015x}", f"{number | _VARIANT:016x}"
    return f"{head[:8]}-{head[8:12]}-7{head[12:]}-{tail[:4]}-{tail[4:]}"


def new_job_id() -> UUID:
    """A new id as a `UUID`."""
    return UUID(new_id_text())


def _seed_again() -> None:
    global _random_bits, _lock  # noqa: PLW0603 - a child must not repeat its parent's digits, nor wait for its threads
    _random_bits = random.Random().getrandbits
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_seed_again)
