"""Before something is done: what it would do, to which jobs, by which SQL. Then: how far it has come."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Button, Static

from jobnb.display.words import SYMBOLS, duration
from jobnb.errors import JobnbError
from monitor.model import Action, Outcome, Progress
from monitor.tui.screens.dialog import Dialog
from monitor.tui.text import fit, plain, plain_lines
from monitor.tui.widgets.job_columns import bar, state_words

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from monitor.model import JobRow, Plan, Target
    from monitor.source import Source

VERBS = {
    Action.CANCEL: ("Ask {jobs} to stop", "Ask to stop"),
    Action.FORCE: ("Stop {jobs} by force", "Stop by force"),
    Action.RETRY: ("Run {jobs} again", "Run again"),
    Action.DELETE: ("Delete {jobs} for good", "Delete"),
}


class ConfirmScreen(Dialog["Outcome | JobnbError | None"]):
    """The question; it gives back what was done, an error if nothing could be, None if nobody wanted it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "back", id="confirm.leave"),
        Binding("enter", "go", "do it", id="confirm.go"),
        Binding("s,S", "sql", "SQL", id="confirm.sql"),
        Binding("down,j", "scroll(1)", show=False),
        Binding("up,k", "scroll(-1)", show=False),
        Binding("pagedown", "scroll(10)", show=False),
        Binding("pageup", "scroll(-10)", show=False),
    ]

    class Planned(Message):
        """It is known what would happen."""

        def __init__(self, plan: Plan | JobnbError) -> None:
            super().__init__()
            self.plan = plan

    class Came(Message):
        """Some of it is done."""

        def __init__(self, progress: Progress) -> None:
            super().__init__()
            self.progress = progress

    class Ended(Message):
        """It is over."""

        def __init__(self, outcome: Outcome | JobnbError) -> None:
            super().__init__()
            self.outcome = outcome

    def __init__(self, source: Source, action: Action, target: Target) -> None:
        super().__init__()
        self.source = source
        self.action = action
        self.target = target
        self.plan: Plan | None = None
        self.running = False
        self.stopping = False

    def compose(self) -> ComposeResult:
        """The question, what it is about, two buttons."""
        with Vertical(classes="dialog"):
            yield Static(Content.styled("looking …", "bold"), id="question")
            with VerticalScroll(id="about", can_focus=False):
                yield Static(id="plan")
                sql = Static(id="sql")
                sql.display = False
                yield sql
            yield Static(id="progress")
            with Horizontal(id="buttons"):
                yield Button(Content("Enter  " + VERBS[self.action][1]), id="go", compact=True, disabled=True)
                yield Button(Content("Esc  Leave it"), id="leave", compact=True)
                yield Button(Content("s  SQL"), id="show-sql", compact=True)

    def on_mount(self) -> None:
        """Look what it would do."""
        self._look()

    @work(thread=True, exit_on_error=False)
    def _look(self) -> None:
        try:
            plan: Plan | JobnbError = self.source.plan(self.action, self.target)
        except JobnbError as error:
            plan = error
        self.post_message(self.Planned(plan))

    @on(Planned)
    def _planned(self, event: Planned) -> None:
        plan = event.plan
        if isinstance(plan, JobnbError):
            _ = self.dismiss(plan)
            return
        self.plan = plan
        self.query_one("#question", Static).update(_question(plan))
        self.query_one("#plan", Static).update(describe(plan, max(30, self.query_one("#about").size.width - 2)))
        self.query_one("#sql", Static).update(Content("\n".join(["", *plain_lines(plan.sql)])))
        can = plan.refused is None and plan.count.value > 0
        self.query_one("#go", Button).disabled = not can
        self.query_one("#go" if can else "#leave", Button).focus()

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        event.stop()
        {"go": self.action_go, "leave": self.action_leave, "show-sql": self.action_sql}[str(event.button.id)]()

    def action_sql(self) -> None:
        """Show what would be sent, or hide it."""
        sql = self.query_one("#sql")
        sql.display = not sql.display

    def action_scroll(self, by: int) -> None:
        """Scroll what it is about."""
        self.query_one("#about").scroll_relative(y=by, animate=False)

    def action_leave(self) -> None:
        """Do nothing; or, while it is being done, do no more of it."""
        if self.running:
            self.stopping = True
            self.query_one("#progress", Static).update(Content.styled("stopping after this batch …", "$warning"))
        else:
            _ = self.dismiss(None)

    def action_go(self) -> None:
        """Do it."""
        plan = self.plan
        if self.running or plan is None or plan.refused is not None or not plan.count.value:
            return
        self.running = True
        self.query_one("#go", Button).disabled = True
        self.query_one("#leave", Button).label = Content("Esc  Stop")
        self._go(plan)

    @work(thread=True, exit_on_error=False)
    def _go(self, plan: Plan) -> None:
        def came(progress: Progress) -> bool:
            self.post_message(self.Came(progress))
            return not self.stopping

        try:
            outcome: Outcome | JobnbError = self.source.execute(plan, came)
        except JobnbError as error:
            outcome = error
        self.post_message(self.Ended(outcome))

    @on(Came)
    def _came(self, event: Came) -> None:
        progress = event.progress
        if progress.total > 1 and not self.stopping:
            (done, _), (rest, _) = bar(progress.looked_at / max(1, progress.total), 30)
            words = f"  {progress.changed:,} of about {progress.total:,}"
            line = Content.assemble((done, "$primary"), (rest, "$foreground-disabled"), words)
            self.query_one("#progress", Static).update(line)

    @on(Ended)
    def _ended(self, event: Ended) -> None:
        _ = self.dismiss(event.outcome)


def _question(plan: Plan) -> Content:
    if plan.refused is not None:
        return Content.styled(f"{VERBS[plan.action][1]}: not here", "bold $error")
    if not plan.count.value:
        return Content.styled("Nothing to do", "bold")
    jobs = "1 job" if plan.count.value == 1 and plan.count.exact else f"{plan.count} jobs"
    return Content.styled(VERBS[plan.action][0].format(jobs=jobs) + "?", "bold")


def describe(plan: Plan, width: int) -> Content:
    """A plan in words, with some of its jobs."""
    lines = [] if plan.refused is None else [Content.styled(plain(plan.refused, 400), "$error"), Content("")]
    lines += [_job(row, width) for row in plan.sample]
    more = plan.count.value - len(plan.sample)
    if plan.sample and more > 0:
        lines.append(Content.styled(f"… and {'' if plan.count.exact else '≈'}{more:,} more", "$foreground-muted"))
    if plan.target.filter is not None:
        text = plan.target.filter.text
        lines.append(
            Content.assemble(
                ("all that fit  ", "$foreground-muted"), plain(text, 300) if text else "no filter: every job"
            )
        )
    lines += [
        Content.styled(f"left alone: {count:,} · {plain(reason, 120)}", "$foreground-muted")
        for reason, count in plan.skipped.items()
    ]
    lines += [Content.styled(plain(warning, 400), "$warning") for warning in plan.warnings]
    if plan.undo and plan.refused is None and plan.count.value:
        lines.append(Content.styled(f"undo: {plain(plan.undo, 300)}", "$foreground-muted"))
    return Content("\n").join(lines)


def _job(row: JobRow, width: int) -> Content:
    if width < 56:
        symbol = (f"{SYMBOLS[row.state]} ", f"$job-{row.state}")
        return Content.assemble(symbol, (f"{row.short_id}  ", "$foreground-muted"), fit(plain(row.title), width - 12))
    return Content.assemble(
        (fit(state_words(row.state), 12), f"$job-{row.state}"),
        (f"{row.short_id}  ", "$foreground-muted"),
        fit(plain(row.title), width - 32),
        (duration(row.duration_s).rjust(9), "$foreground-muted"),
    )
