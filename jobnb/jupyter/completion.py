"""Tab completion on the lines of the magics: options, job types, ids of jobs. Nothing here reads the database."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from IPython.core.completer import SimpleCompletion, context_matcher

from jobnb import api
from jobnb.handle import JobHandle

if TYPE_CHECKING:
    from collections.abc import Iterable

    from IPython.core.completer import CompletionContext, SimpleMatcherResult

_OPTIONS = {
    "%%job": ("--type", "--name", "--timeout", "--out", "--wait", "--help"),
    "%job": ("--help",),
    "%jobs": ("--active", "--failed", "--type", "--search", "--limit", "--help"),
    "%cancel": ("--help",),
    "%joblog": ("--follow", "--lines", "--help"),
}
_TAKE_A_VALUE = ("-n", "--name", "--timeout", "-o", "--out", "-s", "--search", "--limit", "--lines")
_STATES = ("scheduled", "in_progress", "done", "failed", "cancelled", "timeout", "lost")
_USUAL_TYPES = {"cell", "analysis", "training"}
_LINE = re.compile(r"\s*(%%job|%jobs|%joblog|%job|%cancel)\s")


def install(shell: Any) -> None:
    """Add the matcher of jobnb to IPython's completer; a second time does nothing."""
    matchers = shell.Completer.custom_matchers
    if not any(getattr(matcher, "__name__", "") == "jobnb_matcher" for matcher in matchers):
        matchers.append(jobnb_matcher)


@context_matcher()
def jobnb_matcher(context: CompletionContext) -> SimpleMatcherResult:
    """What fits at the cursor; on a line of ours nothing else is offered."""
    line, token = context.text_until_cursor, context.token
    found = _LINE.match(line)
    if found is None:
        return {"completions": [], "suppress": False}
    words = line[: len(line) - len(token)].split()
    fitting = [SimpleCompletion(text) for text in _offered(found[1], words[-1]) if text.startswith(token)]
    return {"completions": fitting, "suppress": True, "ordered": True}


def _offered(magic: str, previous: str) -> Iterable[str]:
    if previous in ("-t", "--type"):
        return sorted(_USUAL_TYPES | {one.job_type for one in _executions()})
    if previous in _TAKE_A_VALUE:
        return ()
    if magic == "%%job":
        return _OPTIONS[magic]
    if magic == "%jobs":
        return (*_OPTIONS[magic], *_STATES)
    return (*_handles(), *[one.job_id[-8:] for one in _executions()], *_OPTIONS[magic])


def _handles() -> list[str]:
    from IPython import get_ipython

    names = list(get_ipython().user_ns.items())
    return [name for name, value in names if isinstance(value, JobHandle) and not name.startswith("_")]


def _executions() -> list[Any]:
    """The unfinished jobs of this kernel."""
    return list(api.default_service().runtime.executions.unfinished())
