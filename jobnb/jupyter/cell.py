"""The body of a `%%job` cell: compiled where the cell runs, run in a job, and its names published at the end.

The body works on a copy of the notebook's names, so that two cells that run at once do not share their loop variables,
and a body that fails leaves nothing half done. (The objects behind the names are the notebook's own: changing a
DataFrame in place is seen at once.) What the body assigned or deleted is published when it has succeeded.
"""

from __future__ import annotations

import ast
import contextlib
import copy
import dis
import inspect
import re
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from IPython.display import display

from jobnb.errors import InvalidInput
from jobnb.executors.failure import users_traceback
from jobnb.jupyter.rehome import Rehoming

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import CodeType

_ABSENT = object()
TITLE_LIMIT = 60


class Body(NamedTuple):
    """The compiled body of a cell.

    Attributes:
        statements: everything but the last expression; None if there is nothing else.
        expression: the last expression, whose value is the job's; None if the body does not end with one.
        is_quiet: the last expression ends with a semicolon and is not to be shown.
        title: what the cell calls itself; see `title_of`.
    """

    statements: CodeType | None
    expression: CodeType | None
    is_quiet: bool
    title: str

    @property
    def is_async(self) -> bool:
        """True if it awaits something at its top level."""
        return any(_is_coroutine(code) for code in (self.statements, self.expression))

    @property
    def assigned(self) -> set[str]:
        """The names that it can assign, as far as that can be read off its code."""
        return {name for code in (self.statements, self.expression) if code is not None for name in _stores(code)}


class CellSyntaxError(InvalidInput):
    """The body of the cell is no Python; shown as IPython shows that of any cell, without the magic's own frames."""

    def __init__(self, shell: Any, error: SyntaxError) -> None:
        super().__init__(str(error), argument="cell")
        self._shell, self._error = shell, error

    def _render_traceback_(self) -> list[str]:
        shown: list[str] = self._shell.SyntaxTB.structured_traceback(type(self._error), self._error, [])
        return shown


def compile_body(shell: Any, line: str, cell: str) -> Body:
    """Compile the text below the `%%job` line as IPython compiles a cell, with the line numbers the user sees.

    Raises:
        CellSyntaxError: shown as IPython shows a SyntaxError in a cell.
    """
    try:
        return _compile(shell, line, cell)
    except SyntaxError as error:
        raise CellSyntaxError(shell, error) from None


def _compile(shell: Any, line: str, cell: str) -> Body:
    # the %%job line is line 1, also where a traceback shows it
    first = " ".join(f"# %%job {line}".split())
    text = f"{first}\n{shell.transform_cell(cell)}"
    filename = shell.compile.cache(text, len(shell.user_ns.get("In", "x")) - 1, raw_code=f"%%job\n{cell}")
    flags = shell.compile.flags | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    tree = compile(text, filename, "exec", flags | ast.PyCF_ONLY_AST, dont_inherit=True)
    assert isinstance(tree, ast.Module)
    tree = shell.transform_ast(tree)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    expression = None if last is None else ast.Expression(last.value)
    return Body(
        compile(tree, filename, "exec", flags, dont_inherit=True) if tree.body else None,
        None if expression is None else compile(expression, filename, "eval", flags, dont_inherit=True),
        shell.displayhook.semicolon_at_end_of_expression(cell),
        title_of(cell),
    )


def title_of(cell: str) -> str:
    """The first line that tells what the cell does: a comment's text, or the first statement that is no import."""
    lines = [line.strip() for line in cell.splitlines() if line.strip()]
    told = (line for line in lines if not line.startswith(("import ", "from ")))
    title = re.sub(r"^#[#%\s]*", "", next(told, lines[0] if lines else "")) or "empty cell"
    return title if len(title) <= TITLE_LIMIT else f"{title[: TITLE_LIMIT - 1]}…"


class _Run:
    """The body of one cell with the names it works on.

    The names are copied when this is made, and let go when the body has run: a job that is kept does not keep every
    object of the notebook. A further run (a retry) works on the names as they are then.

    Args:
        shell: IPython's.
        body: what to run.
        source_text: the text of the whole cell, kept with the job.
        shows_errors: show the traceback of a failure under the cell, as that of any cell is.
    """

    def __init__(self, shell: Any, body: Body, source_text: str, shows_errors: bool) -> None:
        self._shell, self._body, self.source_text, self._shows_errors = shell, body, source_text, shows_errors
        self._copied: dict[str, Any] | None = dict(shell.user_ns)
        self.__qualname__, self.__module__ = body.title, "__main__"

    def let_go(self) -> None:
        """Forget the copied names: the job has ended, perhaps before it began."""
        self._copied = None

    def _take_names(self) -> dict[str, Any]:
        names, self._copied = self._copied, None
        return dict(self._shell.user_ns) if names is None else names

    @contextlib.contextmanager
    def _showing_errors(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if self._shows_errors:
                show_error(self._shell, error)
            raise

    def _finish(self, names: dict[str, Any], before: dict[str, Any], value: Any) -> Any:
        publish(self._shell, names, before)
        if value is not None and not self._body.is_quiet:
            display(value)
        return value


class PlainRun(_Run):
    """A call that runs the body of a cell."""

    def __call__(self) -> Any:
        """Run the body to its end; the value of its last expression."""
        names = self._take_names()
        before, value = dict(names), None
        with self._showing_errors():
            if self._body.statements is not None:
                exec(self._body.statements, names)
            if self._body.expression is not None:
                value = eval(self._body.expression, names)
        return self._finish(names, before, value)


class AsyncRun(_Run):
    """A call that runs the body of a cell which awaits at its top level, in an event loop of the job's own."""

    async def __call__(self) -> Any:
        """Run the body to its end; the value of its last expression."""
        names = self._take_names()
        before, value = dict(names), None
        with self._showing_errors():
            for code in (self._body.statements, self._body.expression):
                if code is not None:
                    value = eval(code, names)
                    if _is_coroutine(code):
                        value = await value
        return self._finish(names, before, None if self._body.expression is None else value)


def make_run(shell: Any, body: Body, source_text: str, *, shows_errors: bool) -> PlainRun | AsyncRun:
    """The call that a job makes of a cell's body."""
    return (AsyncRun if body.is_async else PlainRun)(shell, body, source_text, shows_errors)


def show_error(shell: Any, error: Exception) -> None:
    """Show what a cell raised, from its own lines on, under the cell."""
    # a copy: the shell's own may be at work in another thread
    formatter = copy.copy(shell.InteractiveTB)
    lines = formatter.structured_traceback(type(error), error, users_traceback(error.__traceback__))
    display({"text/plain": formatter.stb2text(lines)}, raw=True)


def publish(shell: Any, names: dict[str, Any], before: Mapping[str, Any]) -> None:
    """Give the notebook what differs in `names` from `before`; say which names another cell changed meanwhile."""
    live, rehome = shell.user_ns, Rehoming(names, shell.user_ns)
    changed = {name: rehome(value) for name, value in _changed(names, before) if name not in shell.user_ns_hidden}
    gone = [name for name in before.keys() - names.keys() if live.get(name, _ABSENT) is before[name]]
    overtaken = sorted(name for name in changed if live.get(name, _ABSENT) is not before.get(name, _ABSENT))
    live.update(changed)
    for name in gone:
        live.pop(name, None)
    if overtaken:
        # belongs into the output of the cell, and into the job's log
        words = f"jobnb: another cell changed {', '.join(overtaken)} while this one ran; the values are now this one's"
        print(words, file=sys.stderr)  # noqa: T201


def _is_coroutine(code: CodeType | None) -> bool:
    return code is not None and bool(code.co_flags & inspect.CO_COROUTINE)


def _changed(names: Mapping[str, Any], before: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in list(names.items()):
        if name != "__builtins__" and before.get(name, _ABSENT) is not value:
            yield name, value


def _stores(code: CodeType) -> Iterator[str]:
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("STORE_NAME", "STORE_GLOBAL"):
            yield instruction.argval
    for inner in code.co_consts:
        if inspect.iscode(inner):
            yield from (one.argval for one in dis.get_instructions(inner) if one.opname == "STORE_GLOBAL")
