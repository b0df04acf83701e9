"""Everything about one job, live: beside the table on a wide terminal, a page of its own on a narrow one."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import ContentSwitcher, Static, Tab, Tabs

from jobnb.errors import JobnbError
from monitor.tui.feed import DetailRead, DetailWish, Feed
from monitor.tui.keymap import JOB, Key, bindings
from monitor.tui.messages import DetailArrived, LogBefore
from monitor.tui.screens.page import Page
from monitor.tui.widgets import paper
from monitor.tui.widgets.facts import facts, title
from monitor.tui.widgets.log_view import LogView
from monitor.tui.widgets.paper import Paper

if TYPE_CHECKING:
    from datetime import datetime

    from textual import events
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from monitor.model import Detail, JobRow
    from monitor.source import Source

TABS = {"log": "Log", "traceback": "Traceback", "result": "Result", "source": "Source"}
_BY_STATE = {"done": "result", "failed": "traceback", "scheduled": "source"}
_PAPERS = {"traceback": paper.traceback, "result": paper.result, "source": paper.source}
SETTLED = 2.0
"""Seconds between two looks at a job that has ended."""


class JobDetail(Vertical):
    """What is known about a job, under its head a tab for each long text."""

    class Closed(Message):
        """The reader wants to leave."""

    def __init__(self, source: Source, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.source = source
        self.row: JobRow | None = None
        self.detail: Detail | None = None
        self.chosen = ""
        self._facts, self._fact_lines = Static(id="facts"), 0
        self._log_tab = Tab(TABS["log"], id="log")
        others = (Tab(label, id=name) for name, label in TABS.items() if name != "log")
        self._tabs = Tabs(self._log_tab, *others, id="tabs")
        self._tabs.can_focus = False
        self._texts = ContentSwitcher(initial="log-text", id="texts")
        self.log_view = LogView(id="log-text")
        self._papers = {name: Paper(id=f"{name}-text") for name in _PAPERS}
        self.feed = Feed("detail", self._read, self.post_message, self._pause)

    def compose(self) -> ComposeResult:
        """The head, the tabs, and a place for the text of each."""
        yield self._facts
        yield self._tabs
        with self._texts:
            yield self.log_view
            yield from self._papers.values()

    def on_mount(self) -> None:
        """Begin to read."""
        self.feed.start()

    def on_unmount(self) -> None:
        """Read no more."""
        self.feed.stop()

    # which job, which text

    def show_job(self, row: JobRow | None) -> None:
        """Show another job; what a line of the list says is there at once."""
        if row is not None and self.row is not None and row.job_id == self.row.job_id:
            self.row = row
            return
        self.row, self.detail = row, None
        self.log_view.clear()
        self.log_view.empty = "…" if row is not None else ""
        for view in self._papers.values():
            view.write(Content(""))
        self._draw_head()
        self._choose_tab()
        self._want()

    def rest(self) -> None:
        """Read nothing until a job is shown again."""
        self.row = self.detail = None
        self.chosen = ""
        self.feed.want(None)

    def show_tab(self, name: str) -> None:
        """Show the text of that name, for other jobs too."""
        self.chosen = name
        self._choose_tab()

    def next_tab(self, by: int) -> None:
        """Show the next text."""
        names = list(TABS)
        self.show_tab(names[(names.index(self.tab) + by) % len(names)])

    @property
    def tab(self) -> str:
        """The name of the text that is shown."""
        return str(self._texts.current).removesuffix("-text")

    @property
    def text(self) -> LogView | Paper:
        """The text that is shown, for the focus."""
        return self._papers.get(self.tab, self.log_view)

    def _choose_tab(self) -> None:
        state = self.row.state if self.row is not None else ""
        name = self.chosen or _BY_STATE.get(state, "log")
        inside = self.text.has_focus
        self._texts.current = f"{name}-text"
        with self.prevent(Tabs.TabActivated):
            self._tabs.active = name
        if inside:
            self.text.focus()

    @on(Tabs.TabActivated)
    def _tab_clicked(self, event: Tabs.TabActivated) -> None:
        event.stop()
        if event.tab.id is not None and event.tab.id != self.tab:
            self.show_tab(event.tab.id)

    # reading

    def _want(self) -> None:
        if self.row is None:
            self.feed.want(None)
        else:
            known = self.detail.row if self.detail is not None and not self.detail.row.is_active else None
            self.feed.want(DetailWish(self.row.job_id, known, self.log_view.last), now=self.detail is None)

    def _pause(self) -> float | None:
        settled = self.detail is not None and not self.detail.row.is_active
        pace: float | None = self.app.pace.seconds(busy=not settled)  # type: ignore[attr-defined] # MonitorApp
        return max(pace, SETTLED) if settled and pace is not None else pace

    def _read(self, wish: DetailWish) -> DetailArrived | None:
        if wish.known is not None and self.source.rows([wish.job_id]).get(wish.job_id) == wish.known:
            return None
        detail = self.source.detail(wish.job_id)
        return DetailArrived(DetailRead(wish, detail, self.source.log(wish.job_id, after=wish.log_after)))

    @on(DetailArrived)
    def _arrived(self, event: DetailArrived) -> None:
        event.stop()
        wish, detail, log = event.read
        if self.row is None or wish.job_id != self.row.job_id:
            return
        if detail is None:
            self._gone()
            return
        before, self.detail, self.row = self.detail, detail, detail.row
        self.log_view.empty = "this job has printed nothing" if detail.row.state != "scheduled" else "it has not begun"
        self.log_view.append(log.rows)
        self.log_view.refresh()
        self._draw_head()
        self._label_tabs()
        if before is None or before.job != detail.job or before.values != detail.values:
            self._write_papers(detail)
        if before is None or before.row.state != detail.row.state:
            self._choose_tab()
        self._want()

    def _gone(self) -> None:
        self._facts.update(Content.styled("this job is gone: somebody has deleted it", "$warning"))
        self.feed.want(None)

    def _write_papers(self, detail: Detail) -> None:
        for name, write in _PAPERS.items():
            self._papers[name].write(write(detail))

    @on(LogView.OlderWanted)
    def _older_wanted(self, event: LogView.OlderWanted) -> None:
        event.stop()
        if self.row is not None:
            self._read_older(self.row.job_id, self.log_view.lines[0].n)

    @work(thread=True, exclusive=True, group="older", exit_on_error=False)
    def _read_older(self, job_id: object, before: int) -> None:
        try:
            page = self.source.log(job_id, before=before)  # type: ignore[arg-type] # a UUID
        except JobnbError:  # the banner says what is wrong; scrolling up asks again
            return
        self.post_message(LogBefore(job_id, page))

    @on(LogBefore)
    def _older_read(self, event: LogBefore) -> None:
        event.stop()
        if self.row is not None and event.job_id == self.row.job_id:
            self.log_view.prepend(event.page.rows)

    # drawing

    def tick(self, _now: datetime) -> None:
        """Let time pass."""
        if self.row is not None:
            self._draw_head()

    def on_resize(self, _event: events.Resize) -> None:
        """Share the room out anew."""
        self._draw_head()

    def _draw_head(self) -> None:
        head = self._facts
        width = self.size.width - 2
        lines = [Content("")]
        if self.row is not None and width >= 8:
            now = self.source.now()
            if self.detail is None:
                lines = [title(self.row, now, width), Content.styled("…", "$foreground-muted")]
            else:
                lines = facts(self.detail, now, width, max(3, min(12, self.size.height // 3)))
        head.update(Content("\n").join(lines), layout=len(lines) != self._fact_lines)
        self._fact_lines = len(lines)

    def _label_tabs(self) -> None:
        lines = self.detail.log_lines if self.detail is not None else 0
        label = f"Log {lines:,}" if lines else "Log"
        if str(self._log_tab.label) != label:
            self._log_tab.label = Content(label)


class DetailScreen(Page):
    """One job on a page of its own."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(JOB),
        *bindings((Key("detail.close", "escape", "close", "back", "back to the table"),)),
    ]

    def __init__(self, row: JobRow, tab: str = "") -> None:
        super().__init__()
        self.job_row = row
        self.first_tab = tab

    def compose_body(self) -> ComposeResult:
        """The job."""
        self.whole = JobDetail(self.source, id="whole")
        yield self.whole

    def on_mount(self) -> None:
        """Show it."""
        detail = self.whole
        detail.chosen = self.first_tab
        detail.show_job(self.job_row)
        detail.text.focus()

    def look(self) -> None:
        """Read at once."""
        self.whole.feed.look()

    def tick(self, now: datetime) -> None:
        """Let time pass."""
        self.whole.tick(now)

    @property
    def current_job(self) -> JobRow | None:
        """The job that the keys are about."""
        return self.whole.row

    @property
    def current_detail(self) -> Detail | None:
        """What is known about it."""
        return self.whole.detail

    def action_show(self, tab: str) -> None:
        """Show the text of that name."""
        self.whole.show_tab(tab)
        self.whole.text.focus()

    def action_next_tab(self, by: int) -> None:
        """Show the next text."""
        self.whole.next_tab(by)
        self.whole.text.focus()

    def action_close(self) -> None:
        """Back to where one came from."""
        _ = self.app.pop_screen()
