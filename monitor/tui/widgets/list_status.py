"""The words at the right end of the filter bar, and those in the place of a list that is empty."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content

from monitor.tui.text import clock, number

if TYPE_CHECKING:
    from monitor.model import Overview, Search
    from monitor.tui.listing import Listing

EMPTY_TABLE = (
    ("no jobs yet", "table--strong"),
    ("", ""),
    ("in a notebook:", "table--muted"),
    ("", ""),
    ("import jobnb", "table--accent"),
    ("job = jobnb.submit(train, df)", "table--accent"),
    ("", ""),
    ("or see some:  jobnb demo", "table--muted"),
)
EMPTY_FILTERED = (
    ("no job fits this filter", "table--strong"),
    ("", ""),
    ("Esc shows all jobs · / changes the filter · ? explains it", "table--muted"),
)
EMPTY_WAITING = (("waiting for the database …", "table--muted"),)
_ORDERS = {
    "created": ("newest first", "oldest first"),
    "finished": ("last ended first", "first ended first"),
    "took": ("longest first", "shortest first"),
    "waited": ("longest wait first", "shortest wait first"),
    "progress": ("furthest first", "least done first"),
}


def list_status(listing: Listing, width: int, marked: int, overview: Overview | None) -> Content:
    """What the list shows, in as many words as there is room for.

    Args:
        listing: the list.
        width: cells of the whole bar.
        marked: how many jobs are marked; -1 for all that the filter lets through.
        overview: the header's numbers, for how many jobs there are in all.
    """
    if not listing.read_once:
        return Content.styled("reading …", "$foreground-muted")
    parts = [*_marked(listing, marked), *_following(listing, narrow=width < 60)]
    if width >= 60:
        parts.append((_how_many(listing, overview), "$foreground-muted"))
    if width >= 80:
        parts += [(text, "$foreground-muted") for text in (listing.note, _order(listing)) if text]
    if listing.search is not None and not listing.search.complete:
        parts.insert(0, (_searched(listing.search), "$warning"))
    spread: list[tuple[str, str]] = []
    for part in parts:
        spread += [("  ·  " if width >= 80 else " ", "$foreground-disabled"), part]
    return Content.assemble(*spread[1:])


def _marked(listing: Listing, marked: int) -> list[tuple[str, str]]:
    if marked < 0:
        return [(f"● all {listing.total} marked", "$secondary")]
    return [(f"● {marked:,} marked", "$secondary")] if marked else []


def _following(listing: Listing, *, narrow: bool) -> list[tuple[str, str]]:
    if listing.is_sorted:
        return []
    if listing.view.is_following:
        return [] if narrow else [("following", "$job-done")]
    newer = listing.newer
    if newer.value:
        return [
            (
                f"▲ {newer.value:,}{'' if newer.exact else '+'} new" + ("" if narrow else ", g shows them"),
                "bold $warning",
            )
        ]
    return [] if narrow else [("holding still", "$foreground-muted")]


def _how_many(listing: Listing, overview: Overview | None) -> str:
    if listing.is_everything or overview is None:
        return f"{listing.total} jobs"
    return f"{listing.total} of {'' if overview.total.exact else '≈'}{number(overview.total.value)} jobs"


def _order(listing: Listing) -> str:
    sort = listing.view.sort
    down, up = _ORDERS.get(sort.key, (f"by {sort.key}, z to a", f"by {sort.key}"))
    return down if sort.descending else up


def _searched(search: Search) -> str:
    back = "" if search.back_to is None else f" back to {clock(search.back_to)}"
    return f"searched{back}, {search.fraction:.0%}"
