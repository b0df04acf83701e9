"""The filter language: `state:failed type:train. -kernel:host-3 took:>30s since:2h error:"bad shape" word`.

Words in any order; a job has to meet all of them. `-` or `!` before a word means the jobs that do not meet it, commas
between values mean any of them, quotes keep spaces together. A word without a key is looked for in names, types,
errors and progress messages. The keys are in `monitor.filter_words`.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import NamedTuple

from jobnb.errors import InvalidInput
from monitor.filter_words import BY_NAME, KEYS, nearest
from monitor.model import EVERYTHING, Filter, Term

_WORD = re.compile(r"""(?:"[^"]*"?|'(?<=[\s:=<>!,-]')[^']*'?|[^\s"])+""")
_KEYED = re.compile(r"([A-Za-z_]+)(:?)(>=|<=|>|<|=|)(.*)", re.DOTALL)
_SHORT_ID = re.compile("(?=.*[0-9])[0-9a-f]{8}")
_WHOLE_ID = re.compile("[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}")
LIMIT = 2_000
"""Characters of a filter."""


class FilterError(InvalidInput):
    """A filter that can't be understood; the message says what is wrong with which word, and what comes near it.

    Attributes:
        start: where that word begins.
        end: where it ends.
    """

    def __init__(self, message: str, start: int, end: int) -> None:
        super().__init__(message, argument="filter")
        self.start, self.end = start, end


class Word(NamedTuple):
    """One word of a filter, as it is written.

    Attributes:
        start: where it begins.
        end: where it ends.
        negated: True with `-` or `!` before it.
        key: its key in full (`status:` is `state`); empty for a word without one.
        written_key: its key as it is written, known or not; empty for a word without one.
        comparison: `>`, `>=`, `<`, `<=`, `=` or nothing.
        value: what follows, without quotes.
    """

    start: int
    end: int
    negated: bool
    key: str
    written_key: str
    comparison: str
    value: str


def parse(text: str) -> Filter:
    """Read a filter; an empty one is every job.

    Raises:
        FilterError: an unknown key or state, or a value that can't be one.
    """
    if len(text) > LIMIT:
        raise FilterError(f"the filter has {len(text):,} characters, the limit is {LIMIT:,}", LIMIT, len(text))
    terms = [term for word in words(text) for term in _terms(word)]
    return Filter(tuple(terms), text.strip()) if terms else EVERYTHING


def words(text: str) -> list[Word]:
    """The words of a filter, whether or not they make sense."""
    return [_word(match) for match in _WORD.finditer(text)]


def set_key(text: str, key: str, value: str | None) -> str:
    """The filter with one key set anew: every word with it is taken out, and `key:value` is added unless it is None."""
    kept = [text[word.start : word.end] for word in words(text) if word.key != key]
    return " ".join([*kept, *([f"{key}:{quoted(value)}"] if value is not None else [])])


def get_key(text: str, key: str) -> str | None:
    """The value of the first word with this key (and no `-`) in a filter; None if there is none."""
    return next((word.value for word in words(text) if word.key == key and not word.negated), None)


def quoted(value: str) -> str:
    """`value` as one word of a filter."""
    if not re.search(r"""[\s"']""", value):
        return value
    return f'"{value}"' if '"' not in value else "'" + value.replace("'", "?") + "'"


def _word(match: re.Match[str]) -> Word:
    raw = match[0]
    negated = len(raw) > 1 and raw[0] in "-!"
    body = raw[1:] if negated else raw
    keyed = None if body[0] in "\"'" else _KEYED.fullmatch(body)
    if keyed is None or not (keyed[2] or keyed[3]):
        return Word(match.start(), match.end(), negated, "", "", "", _unquoted(body))
    known = BY_NAME.get(keyed[1].casefold())
    key = known.name if known else ""
    return Word(match.start(), match.end(), negated, key, keyed[1], keyed[3], _unquoted(keyed[4]))


def _terms(word: Word) -> list[Term]:
    try:
        terms = _read(word)
    except InvalidInput as error:
        raise FilterError(str(error), word.start, word.end) from None
    if not word.negated:
        return terms
    if len(terms) > 1:
        raise FilterError("a range can't be turned round with -: write its two halves", word.start, word.end)
    return [term._replace(negated=True) for term in terms]


def _read(word: Word) -> list[Term]:
    if "\x00" in word.value:
        raise InvalidInput("a filter can't contain NUL characters")
    if not word.written_key:
        return _bare(word.value)
    if not word.key:
        raise InvalidInput(f"no key {word.written_key!r}{_advice(word)}")
    if not word.value:
        return []  # it is still being typed
    return BY_NAME[word.key].read(word.comparison, word.value)


def _advice(word: Word) -> str:
    if get_close_matches(word.written_key, BY_NAME, 1, 0.6):
        return nearest(word.written_key, BY_NAME)
    return f"; put the word in quotes to look for it as text, or use {', '.join(key.name for key in KEYS)}"


def _bare(value: str) -> list[Term]:
    if _SHORT_ID.fullmatch(value) or _WHOLE_ID.fullmatch(value.casefold()):
        return BY_NAME["id"].read("", value)
    if not value:
        return []
    return [Term("text", "like" if "*" in value else "contains", (f"*{value}*" if "*" in value else value,))]


def _unquoted(text: str) -> str:
    return re.sub(r""""([^"]*)"?|(?<![^\s:=<>!,-])'([^']*)'?""", lambda quote: quote[1] or quote[2] or "", text)
