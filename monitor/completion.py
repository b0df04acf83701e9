"""How a filter that is being typed may go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monitor.filter_words import FLAGS, KEYS, STATES
from monitor.filters import Word, quoted, words
from monitor.model import Completion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from monitor.filter_words import Key

    Lookup = Callable[[str, str], Sequence[str]]

LIMIT = 20


def complete(text: str, cursor: int, lookup: Lookup) -> list[Completion]:
    """Ways to go on with a filter, best first, at most 20.

    Args:
        text: the filter so far.
        cursor: where the cursor is in it; the word that ends there, or goes round it, is completed.
        lookup: `lookup(key, beginning)` gives the values of `type` or `kernel` that begin so.
    """
    word = next((word for word in words(text) if word.start < cursor <= word.end), None)
    start, end = (word.start, word.end) if word else (cursor, cursor)
    found: dict[str, Completion] = {}
    for replacement, label, hint in _ways(word, text[start:cursor], lookup):
        # a key waits for its value, a whole word for the next one
        whole = replacement if replacement.endswith((":", ".")) else f"{replacement} "
        completed = text[:start] + whole + (text[end:].lstrip(" ") if whole.endswith(" ") else text[end:])
        if replacement != text[start:end]:
            found.setdefault(label, Completion(completed, start + len(whole), label, hint))
        if len(found) == LIMIT:
            break
    return list(found.values())


def _ways(word: Word | None, typed: str, lookup: Lookup) -> Iterator[tuple[str, str, str]]:
    """Replacements for the word, each with its label and hint."""
    sign = typed[0] if word is not None and word.negated else ""
    if word is None or not word.written_key:
        yield from _beginnings(typed[len(sign) :].casefold(), sign, lookup)
        return
    key = next((key for key in KEYS if key.name == word.key), None)
    if key is None:
        return
    prefix = f"{sign}{word.written_key}:"
    done, comma, value = word.value.rpartition(",")
    for one, hint in _values(key, value, lookup):
        yield f"{prefix}{done}{comma}{quoted(one)}", one, hint


def _beginnings(typed: str, sign: str, lookup: Lookup) -> Iterator[tuple[str, str, str]]:
    for key in KEYS:
        if any(name.startswith(typed) for name in (key.name, *key.other_names)):
            yield f"{sign}{key.name}:", f"{key.name}:", f"{key.words} · {key.example}"
    if typed:
        for state in STATES:
            if state.startswith(typed):
                yield f"{sign}state:{state}", f"state:{state}", "jobs in this state"
        for job_type in lookup("type", typed):
            yield f"{sign}type:{quoted(job_type)}", f"type:{job_type}", "jobs of this type"


def _values(key: Key, typed: str, lookup: Lookup) -> Iterator[tuple[str, str]]:
    for value in key.values:
        if value.startswith(typed.casefold()):
            yield value, FLAGS.get(value, "")
    if key.name in ("type", "kernel"):
        for value in lookup(key.name, typed):
            yield value, ""
