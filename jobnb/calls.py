"""What can be known about a call before it runs: whether it fits the function, what to call it, its source."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import inspect
import json
import os
import sys
import weakref
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Any

from jobnb.errors import InvalidInput, InvalidOption

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SOURCE_LIMIT = 64_000
"""Characters of a function's text that are kept."""

OPTIONS = ("job_type", "name", "document_id", "property_id", "initial_data", "timeout", "retries", "executor")
"""The options of `submit`, which a function's own parameters may collide with."""


@dataclass(frozen=True, eq=False, slots=True)
class Callee:
    """What is known about a callable.

    Attributes:
        name: what a person would call it.
        signature: None if Python can't tell (some functions written in C).
        is_async: True if calling it gives a coroutine.
        source: its name, module, text and so on, as JSON text.
        options: those of its parameters that have the name of an option of `submit`.
        fewest: with so many positional arguments, and no others, a call fits.
        most: with more, it does not.
        works: what `tracking.work` made of it, by what it was made with.
    """

    name: str
    signature: inspect.Signature | None
    is_async: bool
    source: str
    options: frozenset[str]
    fewest: int
    most: int
    works: dict[object, Any] = field(default_factory=dict)


_known: weakref.WeakKeyDictionary[Callable[..., Any], Callee] = weakref.WeakKeyDictionary()


def look_up(fn: Callable[..., Any]) -> Callee:
    """What is known about `fn`; looked up once for each function object.

    Raises:
        InvalidInput: it can't be a job: not callable, or a generator function.
    """
    try:
        return _known[fn]
    except (KeyError, TypeError):
        pass
    callee = _describe(fn)
    try:
        _known[fn] = callee
    except TypeError:  # not hashable, or without weak references: looked up anew each time
        return callee
    return callee


def check_arguments(callee: Callee, args: tuple[Any, ...], kwargs: dict[str, Any], given: Mapping[str, Any]) -> None:
    """See to it that the call fits, before anything is stored.

    Args:
        callee: of the function.
        args: its positional arguments.
        kwargs: its keyword arguments.
        given: the options of `submit` that differ from their defaults.

    Raises:
        InvalidInput: the arguments do not fit the signature.
        InvalidOption: an option has the name of one of the function's own parameters.
    """
    if callee.signature is None or (not kwargs and not given and callee.fewest <= len(args) <= callee.most):
        return
    if callee.options and given and (both := sorted(callee.options & given.keys())):
        raise InvalidOption(
            f"{callee.name}() has a parameter {both[0]!r}, and so has submit: jobnb can't know which one you mean; "
            f"bind your own first: submit(functools.partial({callee.name}, {both[0]}=...), ...)",
            argument=both[0],
        )
    try:
        callee.signature.bind(*args, **kwargs)
    except TypeError as error:
        raise InvalidInput(
            f"the arguments do not fit {callee.name}{callee.signature}: {error}", argument="fn"
        ) from None


def zipped(iterables: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """The arguments of each call of a `map`: tuples of the first items, of the second ones, and so on.

    Raises:
        InvalidInput: there is no iterable, or one of them can't be iterated.
    """
    if not iterables:
        raise InvalidInput("map needs at least one iterable to run the function on", argument="iterables")
    for iterable in iterables:
        try:
            iter(iterable)
        except TypeError:
            raise InvalidInput(
                f"map was given {iterable!r:.80} to run the function on, which can't be iterated: give a list or "
                f"another iterable; for one call use submit(fn, {iterable!r:.20})",
                argument="iterables",
            ) from None
    return list(zip(*iterables, strict=False))


def _describe(fn: Callable[..., Any]) -> Callee:
    if not callable(fn):
        hint = "; give the function itself, not the result of calling it" if fn is None else ""
        raise InvalidInput(f"fn is {fn!r:.80}, which can't be called{hint}", argument="fn")
    plain = _innermost(fn)
    name = _text(plain, "__qualname__") or type(plain).__qualname__
    name = name.rpartition("<locals>.")[2]
    is_async_generator = _is(inspect.isasyncgenfunction, plain)
    if is_async_generator or _is(inspect.isgeneratorfunction, plain):
        collect = "[item async for item in ...]" if is_async_generator else f"list({name}(...))"
        raise InvalidInput(
            f"{name} is a generator function: running it would only make a generator; submit a function that "
            f"returns {collect}",
            argument="fn",
        )
    try:
        signature = inspect.signature(fn)
    except Exception:  # whatever the callable's own attributes raise; ValueError and TypeError say that there is none
        signature = None
    options = frozenset(_keywords(signature)) & frozenset(OPTIONS)
    return Callee(name[:200], signature, _is_async(plain), _source(plain, name), options, *_arity(signature))


def _text(fn: Any, attribute: str) -> str | None:
    """An attribute that is a text where all is well; a mock or a proxy may answer with anything, or raise."""
    try:
        value = getattr(fn, attribute, None)
    except Exception:
        return None
    return value if isinstance(value, str) else None


def _innermost(fn: Any) -> Any:
    while isinstance(fn, functools.partial):
        fn = fn.func
    return fn


def _is_async(fn: Any) -> bool:
    if _is(inspect.iscoroutinefunction, fn):
        return True
    return not inspect.isroutine(fn) and _is(inspect.iscoroutinefunction, type(fn).__call__)


def _is(kind: Callable[[Any], bool], fn: Any) -> bool:
    try:
        return kind(fn)
    except Exception:  # raised by an attribute of the callable
        return False


def _keywords(signature: inspect.Signature | None) -> list[str]:
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [] if signature is None else [p.name for p in signature.parameters.values() if p.kind in kinds]


def _arity(signature: inspect.Signature | None) -> tuple[int, int]:
    """How few and how many positional arguments fit by themselves; an empty span if some must be named."""
    parameters = [] if signature is None else list(signature.parameters.values())
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if any(p.kind is p.KEYWORD_ONLY and p.default is p.empty for p in parameters):
        return 1, 0
    most = sys.maxsize if any(p.kind is p.VAR_POSITIONAL for p in parameters) else len(positional)
    return sum(p.default is p.empty for p in positional), most


def _source(fn: Any, name: str) -> str:
    facts: dict[str, Any] = {"function": name, "module": _text(fn, "__module__")}
    with contextlib.suppress(
        Exception
    ):  # a proxy may raise anything when it is looked at; it can be called all the same
        facts |= _writing(fn)
    facts |= _surroundings()
    return json.dumps({key: value for key, value in facts.items() if value is not None}).replace("\\u0000", "\\ufffd")


def _writing(fn: Any) -> dict[str, Any]:
    """What a function's text is, and where it is written."""
    facts: dict[str, Any] = {}
    text = _text_of(fn)
    if text is not None:
        facts = {
            "text": text[:SOURCE_LIMIT],
            "sha256": hashlib.sha256(text.encode("utf-8", "replace")).hexdigest(),
        }
    code = getattr(inspect.unwrap(fn), "__code__", None)
    if type(code) is CodeType:  # a mock says that it is one
        facts |= {"file": code.co_filename, "line": code.co_firstlineno}
    return facts


def _text_of(fn: Any) -> str | None:
    # what is not written as a function, such as a cell, brings its text itself
    if isinstance(own := getattr(fn, "source_text", None), str):
        return own
    try:
        return inspect.getsource(fn if inspect.isroutine(fn) or inspect.isclass(fn) else type(fn))
    except (OSError, TypeError, IndexError):
        return None


@functools.lru_cache(maxsize=1)
def _commit() -> str | None:
    """The commit checked out around the working directory, read from `.git` without running git."""
    for folder in (Path.cwd(), *Path.cwd().parents):
        try:
            head = (folder / ".git" / "HEAD").read_text().strip()
            if not head.startswith("ref: "):
                return head
            reference = head.removeprefix("ref: ")
            loose = folder / ".git" / reference
            if loose.is_file():
                return loose.read_text().strip()
            packed = (folder / ".git" / "packed-refs").read_text().splitlines()
            return next((line.split()[0] for line in packed if line.endswith(" " + reference)), None)
        except OSError:
            continue
    return None


def _surroundings() -> dict[str, Any]:
    facts: dict[str, Any] = {"git_commit": _commit(), "notebook": os.environ.get("JPY_SESSION_NAME") or None}
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None and hasattr(ipython, "get_ipython") else None
    if shell is not None:
        facts["cell"] = shell.execution_count
    return facts
