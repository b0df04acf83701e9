"""Long texts of a job that do not change: traceback, result, source; coloured, scrolled, never markup."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

from pygments.token import Token
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.highlight import HighlightTheme, highlight
from textual.widgets import Static

from monitor.tui.text import join, plain, plain_lines

if TYPE_CHECKING:
    from collections.abc import Mapping

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from monitor.model import Detail, ValueRow


UNDERLINE, LINE = 72, 56
"""Cells of a traceback's underline that are still worth showing, and of a line of JSON."""


class Colours(HighlightTheme):
    """Textual's colours for code, without their boxes and underlines, which are too loud among other things."""

    STYLES = {  # noqa: RUF012 # as the class above has it
        **HighlightTheme.STYLES,
        Token.Error: "",
        Token.Generic.Error: "bold $text-error",
        Token.Name: "",
        Token.Name.Builtin: "$text-primary",
        Token.Name.Class: "$text-primary bold",
        Token.Name.Exception: "bold $text-error",
        Token.Name.Function: "$text-primary",
        Token.Name.Function.Magic: "$text-primary",
        Token.Name.Decorator: "$text-secondary",
        Token.Keyword: "$text-secondary",
        Token.Keyword.Namespace: "$text-secondary",
        Token.Keyword.Constant: "$text-warning",
        Token.Operator: "",
        Token.Operator.Word: "$text-secondary",
        Token.Name.Tag: "$text-primary",
    }


LINES = 2000
"""Lines that are shown; colours for more would take too long."""


class Paper(VerticalScroll, can_focus=True):
    """A text that scrolls."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("k", "scroll_up", show=False),
        Binding("j", "scroll_down", show=False),
        Binding("ctrl+b", "page_up", show=False),
        Binding("ctrl+f,space", "page_down", show=False),
        Binding("g", "scroll_home", show=False),
        Binding("G", "scroll_end", show=False),
    ]

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._text: object = None
        self._body = Static()

    def compose(self) -> ComposeResult:
        """One text."""
        yield self._body

    def write(self, text: Content) -> None:
        """Show another text, from its beginning; the same one stays where it was scrolled to."""
        if self._text is None or not text.is_same(self._text):  # type: ignore[arg-type]
            self._text = text
            self._body.update(text)
            self.scroll_home(animate=False)


def _coloured(text: str, language: str) -> Content:
    safe = "\n".join(plain_lines(text, most=LINES))
    return highlight(safe, language=language, theme=Colours)


def _note(text: str) -> Content:
    return Content.styled(text, "$foreground-muted")


def traceback(detail: Detail) -> Content:
    """The traceback of a failed job, or why there is none."""
    job = detail.job
    if job.traceback:
        lines = [line for line in job.traceback.rstrip().split("\n") if not _is_long_underline(line)]
        return _errors_marked(_coloured("\n".join(lines), "py3tb"))
    if detail.row.is_failure:
        words = plain(job.error_message or detail.row.message or "it failed without a word", 2000)
        return Content.assemble(
            (words, f"$job-{detail.row.state}"), "\n\n", _note("no traceback was kept for this job")
        )
    return _note("no traceback: this job has not failed")


def _is_long_underline(line: str) -> bool:
    """True for a line of Python's carets that would be wrapped, and then point at nothing."""
    return len(line) > UNDERLINE and not line.strip(" ^~")


def _errors_marked(text: Content) -> Content:
    """A traceback with the lines that name its errors in the colour of failure, and those of libraries dimmed."""
    at = 0
    foreign = False
    for line in text.plain.split("\n"):
        if line.startswith("  File "):
            foreign = any(folder in line for folder in ("site-packages", "dist-packages", "lib/python"))
        elif not line.startswith(" "):
            foreign = False
            if ": " in line or line.endswith(("Error", "Exception", "Interrupt")):
                text = text.stylize("bold $job-failed", at, at + len(line))
        if foreign:
            text = text.stylize("$foreground-muted", at, at + len(line))
        at += len(line) + 1
    return text


def result(detail: Detail) -> Content:
    """The result of a job as JSON, and what is kept beside it."""
    job = detail.job
    parts: list[Content] = []
    if job.result_error:
        parts.append(
            Content.styled(f"not stored whole: {plain(job.result_error, 1000)}\nthis is a preview", "$warning")
        )
    parts += [_value(value) for value in detail.values]
    shown = job.result
    if isinstance(shown, dict) and set(shown) == {"result"}:
        shown = shown["result"]
    if job.result not in ({}, None):
        parts.append(_json(shown))
    if not parts:
        words = "it failed" if detail.row.is_failure else "it has not ended" if detail.row.is_active else "it gave none"
        return _note(f"no result: {words}")
    parts.append(_note(f'in Python: jobnb.get("{detail.row.short_id}").result()'))
    return Content("\n\n").join(parts)


def _json(value: Any) -> Content:
    return _coloured(pretty(value), "json")


def pretty(value: Any, indent: str = "") -> str:
    """JSON that a person reads: what fits on a line stays on one, a row of a matrix for instance."""
    whole = json.dumps(value, ensure_ascii=False, default=str)
    inner = indent + "  "
    if len(indent) + len(whole) <= LINE or not value or not isinstance(value, (dict, list)):
        return whole
    if isinstance(value, list):
        return "[\n" + ",\n".join(inner + pretty(one, inner) for one in value) + f"\n{indent}]"
    parts = (f"{inner}{json.dumps(str(name), ensure_ascii=False)}: {pretty(one, inner)}" for name, one in value.items())
    return "{\n" + ",\n".join(parts) + f"\n{indent}}}"


def _value(value: ValueRow) -> Content:
    meta: Mapping[str, Any] = value.meta
    columns = meta.get("columns")
    about = [plain(f"{name} {told}", 80) for name, told in meta.items() if name != "columns"][:6]
    head = join(
        (f"{value.size / 1e6:,.1f} MB" if value.size >= 1e5 else f"{value.size:,} bytes", plain(value.kind, 20), *about)
    )
    named = Content.assemble((plain(value.name, 60), "bold"), "  ", (head, "$foreground-muted"))
    if isinstance(columns, list):
        shown = ", ".join(plain(str(column), 40) for column in columns[:40])
        return Content.assemble(named, "\n  ", (f"{len(columns)} columns: {shown}", ""))
    return named


def source(detail: Detail) -> Content:
    """The function of a job, and where it was submitted."""
    told = detail.job.source
    if not isinstance(told, dict) or not told:
        return _note("nothing is known about its source; jobs made with create_job have none")
    text = told.get("text")
    names = [name for name in told if name not in ("text", "sha256")]
    width = max((len(name) for name in names), default=0) + 2
    lines = [
        Content.assemble(
            (plain(name.replace("_", " "), 40).ljust(width), "$foreground-muted"), plain(str(told[name]), 400)
        )
        for name in names
        if told[name] is not None
    ]
    if told.get("sha256"):
        lines.append(
            Content.assemble(("sha256".ljust(width), "$foreground-muted"), plain(str(told["sha256"])[:16], 16))
        )
    code = _coloured(text, "python") if isinstance(text, str) else _note("its text is not known")
    return Content("\n").join([*lines, Content(""), code])
