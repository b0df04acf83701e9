"""All keys, as they are now, and the filter language."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from jobnb.display.words import SYMBOLS, WORDS
from monitor.filter_words import KEYS
from monitor.tui.keymap import GROUPS, Key, key_words
from monitor.tui.screens.dialog import Dialog
from monitor.tui.text import fit, plain, wrap

if TYPE_CHECKING:
    from collections.abc import Mapping

    from textual.app import ComposeResult
    from textual.binding import BindingType

KEY_CELLS = 14


class HelpScreen(Dialog[None]):
    """See the module."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,f1", "leave", "back"),
        Binding("j", "scroll(1)", show=False),
        Binding("k", "scroll(-1)", show=False),
    ]

    def __init__(self, keymap: Mapping[str, str], keymap_path: str) -> None:
        super().__init__()
        self.keymap = keymap
        self.keymap_path = keymap_path

    def compose(self) -> ComposeResult:
        """One text that scrolls."""
        with Vertical(classes="dialog wide-dialog"):
            yield VerticalScroll(Static(id="help-text"), id="help-scroll")
            yield Static(Content.styled("Esc goes back · ^p finds every command by its name", "$foreground-muted"))

    def on_mount(self) -> None:
        """Write it, and let the keys scroll it."""
        self.query_one("#help-scroll").focus()
        self.call_after_refresh(self._write)

    def on_resize(self) -> None:
        """Write it for the new width."""
        self.call_after_refresh(self._write)

    def _write(self) -> None:
        width = self.query_one("#help-scroll").size.width - 2
        self.query_one("#help-text", Static).update(help_text(self.keymap, width, self.keymap_path))

    def action_scroll(self, by: int) -> None:
        """Scroll by a line."""
        self.query_one("#help-scroll").scroll_relative(y=by, animate=False)

    def action_leave(self) -> None:
        """Back."""
        _ = self.dismiss()


def help_text(keymap: Mapping[str, str], width: int, keymap_path: str) -> Content:
    """The whole text, in two columns where there is room."""
    blocks = [_keys(name, keys, keymap) for name, keys in GROUPS]
    if width >= 100:
        half = width // 2
        columns = [*_beside(blocks[0] + [("", "")] + blocks[2], blocks[1], half), Content("")]
        columns += _beside(blocks[3], _states(), half)
        lines = columns
    else:
        lines = [_row(row, width) for block in (*blocks, _states()) for row in [*block, ("", "")]]
    lines += [Content(""), *(_row(row, width) for row in _language()), Content("")]
    where = f'Keys and theme can be changed in {plain(keymap_path, 200)}: [keys] and lines such as "job.cancel" = "X"; '
    names = "the names are " + ", ".join(key.name for _, keys in GROUPS for key in keys)
    return Content("\n").join(
        [*lines, *(Content.styled(line, "$foreground-muted") for line in _wrapped(where + names, width))]
    )


def _wrapped(text: str, width: int) -> list[str]:
    lines, line = [], ""
    for word in text.split(" "):
        if line and len(line) + 1 + len(word) > width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    return [piece for whole in (*lines, line) for piece in wrap(whole, width)]


def _keys(name: str, keys: tuple[Key, ...], keymap: Mapping[str, str]) -> list[tuple[str, str]]:
    return [("", name), *((key_words(keymap.get(key.name, key.keys)), key.words) for key in keys)]


def _states() -> list[tuple[str, str]]:
    meanings = {
        "scheduled": "waits for its turn", "in_progress": "its function runs", "done": "ended well",
        "failed": "raised an error", "cancelled": "somebody stopped it", "timeout": "took longer than it may",
        "lost": "its process went away before it ended",
    }  # fmt: skip
    return [
        ("", "States"),
        *((f"{SYMBOLS[state]} {WORDS.get(state, state)}", words) for state, words in meanings.items()),
    ]


def _language() -> list[tuple[str, str]]:
    rows = [(key.example, f"jobs {key.words}") for key in KEYS]
    rows.append(("-type:ocr", "- before a word turns it round; commas mean any of them; quotes keep spaces together"))
    return [("", "Filter"), *rows]


def _row(row: tuple[str, str], width: int) -> Content:
    left, right = row
    if not left:
        return Content.styled(right, "bold $primary")
    cells = max(KEY_CELLS, len(left) + 2)
    return Content.assemble((fit(left, cells), "bold"), (fit(right, max(4, width - cells)), ""))


def _beside(left: list[tuple[str, str]], right: list[tuple[str, str]], half: int) -> list[Content]:
    rows = max(len(left), len(right))
    empty = ("", "")
    pairs = [(left[n] if n < len(left) else empty, right[n] if n < len(right) else empty) for n in range(rows)]
    return [
        _row(one, half).pad_right(max(0, half - _row(one, half).cell_length)) + _row(other, half)
        for one, other in pairs
    ]
