"""`Filter`: which jobs are wanted, as data; `jobnb.db.queries.filtering` makes SQL of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

Operator = Literal["is", "starts", "like", "contains", ">", ">=", "<", "<="]

# what an index narrows, or what so many rows meet that a page of them is found at once
_INDEXED = {
    "state": ("is",),
    "type": ("is", "starts"),
    "id": ("is", "starts"),
    "group": ("is", "starts"),
    "document": ("is",),
    "property": ("is",),
    "created": (">", ">=", "<", "<="),
    "finished": (">", ">=", "<", "<="),
}


class Term(NamedTuple):
    """One condition on a job.

    Attributes:
        field: a name that `jobnb.db.queries.filtering` knows: `state`, `type`, `id`, `created`, `took`, `text` ...
        operator: how to compare.
        values: one of these is enough. A moment is an aware time, or a `timedelta` before now, whenever now is; lengths
            of time are seconds, fractions are in [0, 1], ids are UUIDs or (to find part of one) hex digits.
        negated: the jobs that do not meet it.
    """

    field: str
    operator: Operator
    values: tuple[Any, ...]
    negated: bool = False

    @property
    def is_indexed(self) -> bool:
        """True if rows that meet it are found without reading many others."""
        return self.operator in _INDEXED.get(self.field, ())


_FAILURES = Term("state", "is", ("unsuccessful",))


@dataclass(frozen=True)
class Filter:
    """Which jobs are wanted: those that meet every term.

    Attributes:
        terms: none of them means every job.
        text: what a person typed; empty if nobody did.
    """

    terms: tuple[Term, ...] = ()
    text: str = ""

    @property
    def is_indexed(self) -> bool:
        """True if a page of such jobs can be read at any time; otherwise they have to be searched for."""
        return all(term.is_indexed for term in self.terms)

    @cached_property
    def narrow(self) -> tuple[Term, ...]:
        """The terms that an index answers, said or implied: where to search for the others."""
        implied = any(term.field in ("same", "error") and not term.negated for term in self.terms)
        return (*[term for term in self.terms if term.is_indexed], *([_FAILURES] if implied else []))

    def also(self, terms: Iterable[Term], text: str = "") -> Filter:
        """This filter, narrowed."""
        return Filter((*self.terms, *terms), " ".join(part for part in (self.text, text) if part))


EVERYTHING = Filter()
