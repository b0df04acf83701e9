"""How the command line prints: tables for people, JSON for programs. No text of a job reaches the terminal raw."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from jobnb.display.words import COLORS, SYMBOLS, duration, message, one_line, state_word, title

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobnb.models import Job


def jobs(found: Sequence[Job], *, as_json: bool) -> None:
    """Print a list of jobs."""
    if as_json:
        click.echo(
            "["
            + ",\n ".join(job.model_dump_json(exclude={"traceback", "source", "result_order"}) for job in found)
            + "]"
        )
    elif found:
        console().print(job_table(found))
    else:
        click.echo("no jobs", err=True)


def console() -> Console:
    """A console for standard output; wide where that is no terminal, so that nothing is cut for a program."""
    return _Console(width=None if sys.stdout.isatty() else 200, highlight=False)


class _Console(Console):
    def on_broken_pipe(self) -> None:
        raise BrokenPipeError  # what it means is decided in one place, `jobnb.stdout`


def job_table(found: Sequence[Job]) -> Table:
    """A table of jobs, one line each."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    widths = {"state": 11, "id": 8, "type": 10, "name": 14, "created (UTC)": 14, "time": 6, "": 10}
    for name, width in widths.items():
        table.add_column(name, no_wrap=True, overflow="ellipsis", min_width=width)
    for job in found:
        created = job.created_at.strftime("%m-%d %H:%M:%S") if job.created_at else ""
        progress = f"{job.progress:.0%} " if job.progress is not None and job.state == "in_progress" else ""
        cells = (
            job.short_id,
            one_line(job.job_type, 24),
            one_line(title(job), 36),
            created,
            duration(job.elapsed),
        )
        table.add_row(state(job), *[Text(cell) for cell in cells], Text(progress + message(job)))
    return table


def state(job: Job) -> Text:
    """The state as symbol and word, in its colour."""
    return Text(f"{SYMBOLS[job.state]} {state_word(job)}", style=COLORS[job.state])


def job(one: Job, *, as_json: bool) -> None:
    """Print everything about one job."""
    if as_json:
        click.echo(one.model_dump_json())
        return
    out = console()
    out.print(state(one), Text(title(one), style="bold"), Text(str(one.job_id), style="dim"))
    for name, value in _facts(one):
        if value not in (None, "", "None"):
            out.print(Text(f"{name:>9}  ", style="dim") + Text(plain(str(value))), soft_wrap=True)
    if one.traceback:
        out.print(Text("\n" + plain(one.traceback)), soft_wrap=True)


def _facts(one: Job) -> list[tuple[str, Any]]:
    result = json.dumps(one.result, ensure_ascii=False) if one.result else None
    source = one.source if isinstance(one.source, dict) else {}
    return [
        ("type", one.job_type),
        ("created", one.created_at),
        ("started", one.started_at),
        ("finished", one.finished_at),
        ("took", duration(one.elapsed)),
        ("attempt", f"{one.attempt} of {one.max_attempts}" if one.max_attempts > 1 else None),
        ("progress", None if one.progress is None else f"{one.progress:.0%} {one.progress_message or ''}"),
        ("function", source.get("function")),
        ("file", source.get("file")),
        ("commit", source.get("git_commit")),
        ("executor", one.executor),
        ("error", one.error_message),
        ("result", result[:4000] if result else None),
        ("note", one.result_error),
    ]


def plain(text: str) -> str:
    """Text of several lines, with nothing in it that moves a cursor."""
    return "\n".join(one_line(line.expandtabs(), 10_000) for line in text.split("\n"))


def findings(found: dict[str, Any]) -> None:
    """Print what `doctor` found."""
    for name, value in found.items():
        if name != "problems":
            click.echo(f"{name:>16}  {plain(str(value))}")
    for problem in found["problems"]:
        click.secho(f"         problem  {plain(problem)}", fg="red")
    if not found["problems"]:
        click.secho("                  all is well", fg="green")
