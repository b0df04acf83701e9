"""The top of every screen: how many jobs are in which state, how fast they end, how old the data is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content
from textual.widget import Widget

from jobnb.display.words import SYMBOLS, WORDS, duration
from monitor.model import LinkStatus
from monitor.tui.text import number, plain
from monitor.tui.widgets.sparkline import bars

if TYPE_CHECKING:
    from monitor.model import LinkState, Overview

_ORDER = ("in_progress", "scheduled", "failed", "timeout", "lost", "cancelled", "done")
_ALWAYS = ("in_progress", "scheduled", "failed", "done")
FRESH, STALE = 2.0, 15.0
"""Seconds up to which data is called live, and from which on it is called old."""
TALL = 20
"""Lines of terminal from which on the header takes two."""
NARROWEST_CHART = 12
"""Cells; a narrower one tells nothing."""

Part = tuple[str, str]


class JobsHeader(Widget):
    """Draws what it was told last; it asks for nothing."""

    ALLOW_SELECT = False

    def __init__(self) -> None:
        super().__init__()
        self.overview: Overview | None = None
        self.link: LinkState | None = None
        self.held = False
        self._shown: object = None

    def show(self, overview: Overview | None, link: LinkState, *, held: bool = False) -> None:
        """Draw these numbers, if they look different from those on screen."""
        self.overview, self.link, self.held = overview, link, held
        looks = (_numbers(overview), freshness(link, held=held), link.server, link.access)
        if looks != self._shown:
            self._shown = looks
            self.refresh()

    def render(self) -> Content:
        """The header, one or two lines."""
        return Content("\n").join(self._lines())

    def _lines(self) -> list[Content]:
        width, height = self.size
        if self.link is None or width < 4:
            return [Content("")]
        if height < 2:
            return [one_line(self.overview, self.link, width, held=self.held)]
        return two_lines(self.overview, self.link, width, held=self.held)


def _numbers(overview: Overview | None) -> object:
    """What the header shows of it: the same numbers a second later need no painting."""
    if overview is None:
        return None
    ended = tuple(bucket.done + bucket.failed for bucket in overview.buckets)
    return overview.counts, overview.total, ended if any(ended) else ()


def freshness(link: LinkState, *, held: bool = False, short: bool = False) -> Part:
    """How old the data is, in words, and the colour for it."""
    if link.age is None:
        return ("… connecting", "$warning") if link.status is LinkStatus.CONNECTING else ("✗ no data", "$error")
    if held:
        return "‖ held", "$warning"
    if link.age < FRESH and link.status is not LinkStatus.DOWN:
        return "● live", "$job-done"
    old = duration(float(int(link.age)))
    old = old.replace(".0 s", " s")
    return (f"● {old}" if short else f"● {old} old"), "$warning" if link.age < STALE else "$error"


def one_line(overview: Overview | None, link: LinkState, width: int, *, held: bool) -> Content:
    """The header for small terminals: symbols and numbers, then what else there is room for."""
    left: list[list[Part]] = [[(" ", "")]]
    for state, count in sorted(_counts(overview), key=lambda told: told[0] not in _ALWAYS):
        left.append([(f"{SYMBOLS[state]} ", f"$job-{state}"), (f"{_short(count)}  ", "bold")])
    right: list[list[Part]] = [[freshness(link, held=held, short=width < 60), (" ", "")]]
    if overview is not None:
        rate = [(f"{_rate(overview)}   ", "$foreground-muted")]
        chart = [(_chart(overview, 16, 1)[0] + " ", "$job-in_progress 55%")]
        right = [chart, rate, *right]
    while len(right) > 1 and _width(left) + _width(right) > width:
        right.pop(0)
    while len(left) > 3 and _width(left) + _width(right) > width:
        left.pop()
    return _between(left, right, width)


def two_lines(overview: Overview | None, link: LinkState, width: int, *, held: bool) -> list[Content]:
    """The header for large terminals: words over numbers, the chart beside them."""
    right_top: list[list[Part]] = [[freshness(link, held=held), ("  ", "")]]
    right_low: list[list[Part]] = [[(_where(link), "$foreground-muted"), ("  ", "")]]
    cells = max(_width(right_top), _width(right_low))
    right_top[0].insert(0, (" " * (cells - _width(right_top)), ""))
    right_low[0].insert(0, (" " * (cells - _width(right_low)), ""))
    top, low = _tiles(_counts(overview), width - cells)
    free = width - _width(top) - cells
    if overview is not None:
        _add_chart(overview, right_top, right_low, free)
    return [_between(top, right_top, width), _between(low, right_low, width)]


def _tiles(counts: list[tuple[str, object]], width: int) -> tuple[list[list[Part]], list[list[Part]]]:
    """Each state over its number; where not all have room, those that are always told come first."""
    top: list[list[Part]] = [[(" jobnb   ", "bold $primary")]]
    low: list[list[Part]] = [[(" monitor ", "$foreground-muted")]]
    for state, count in counts:
        word = f"{SYMBOLS[state]} {WORDS.get(state, state)}"
        cells = max(len(word), len(str(count)) + 2) + 3
        top.append([(word.ljust(cells), f"$job-{state}")])
        low.append([("  " + str(count).ljust(cells - 2), "bold")])
    if _width(top) <= width or not counts:
        return top, low
    chosen = sorted(counts, key=lambda told: told[0] not in _ALWAYS)
    return _tiles(chosen if chosen != counts else counts[:-1], width)


def _add_chart(overview: Overview, top: list[list[Part]], low: list[list[Part]], free: int) -> None:
    """Put the chart and its words before what is at the right, if they fit there."""
    words = (f"{_rate(overview)}", _forecast(overview))
    cells = max(len(word) for word in words) + 3
    width = min(60, free - cells - 2)
    if width < NARROWEST_CHART:
        return
    chart = _chart(overview, width, 2)
    for line, drawn, word in zip((top, low), chart, words, strict=True):
        line.insert(0, [(drawn + "  ", "$job-in_progress 55%"), (word.ljust(cells), "$foreground-muted")])


def _counts(overview: Overview | None) -> list[tuple[str, object]]:
    if overview is None:
        return [(state, "-") for state in _ALWAYS]
    return [(state, overview.counts[state]) for state in _ORDER if state in _ALWAYS or overview.counts[state].value]


def _short(count: object) -> str:
    value, exact = getattr(count, "value", None), getattr(count, "exact", True)
    return str(count) if value is None else f"{'' if exact else '≈'}{number(value)}"


def _rate(overview: Overview) -> str:
    rate = overview.per_second()
    return f"{rate:.0f}/s" if rate >= 10 or rate == 0 else f"{rate:.1f}/s" if rate >= 1 else f"{rate * 60:.0f}/min"


def _forecast(overview: Overview) -> str:
    queued = overview.counts["scheduled"].value
    if not queued or overview.drained_in is None:
        return "ended lately" if not queued else "nothing ends"
    return f"empty in {duration(max(1.0, overview.drained_in))}"


def _chart(overview: Overview, width: int, height: int) -> list[str]:
    return bars([bucket.done + bucket.failed for bucket in overview.buckets], width, height)


def _where(link: LinkState) -> str:
    where = plain(link.server.where, 40)
    if where.startswith("/"):  # the path of a socket says nothing to a person
        where = f"{plain(link.server.database, 24)} on this machine"
    notes = [
        word
        for word, true in (("standby", link.server.is_standby), ("pooler", link.server.has_pooler))
        if true
    ]  # fmt: skip
    if link.age is not None and not (link.access.may_cancel or link.access.may_retry or link.access.may_delete):
        notes.append("read-only")
    return " · ".join([where, *notes])


def _width(groups: list[list[Part]]) -> int:
    return sum(Content(text).cell_length for group in groups for text, _ in group)


def _between(left: list[list[Part]], right: list[list[Part]], width: int) -> Content:
    space = (" " * max(0, width - _width(left) - _width(right)), "")
    parts = [*(part for group in left for part in group), space, *(part for group in right for part in group)]
    return Content.assemble(*(part for part in parts if part[0]))
