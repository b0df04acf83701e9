"""The commands; each opens nothing until it knows what it was asked for."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from jobnb.cli import printing
from jobnb.errors import InvalidInput

if TYPE_CHECKING:
    from jobnb.handle import JobHandle

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


# what \b begins is shown as it stands
_EXIT_CODES = """\b
Exit codes:
  0  done
  1  the answer is no: show found a failed job, cancel an ended one,
     doctor a problem
  2  the call can't be right
  3  the database can't be reached
  4  no such job
  5  the output can't be written"""


class _Commands(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; a reader such as `head` that has seen enough is no error, which click would make of it."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise click.exceptions.Exit(0) from None


@click.group(cls=_Commands, epilog=_EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="jobnb")
@click.option("--database-url", metavar="URL", help="Which PostgreSQL; else DATABASE_URL, .env, or the embedded one.")
def cli(database_url: str | None) -> None:
    """Durable, tracked jobs in PostgreSQL."""
    if database_url is not None:
        import jobnb

        jobnb.configure(database_url=database_url)


@cli.command()
def demo() -> None:
    """Run several real jobs and watch them."""
    from jobnb.cli.demo import run_demo

    run_demo()


@cli.command("list")
@click.option("--status", metavar="STATUS", help="scheduled, in_progress, done, failed, cancelled, timeout or lost.")
@click.option("--type", "job_type", metavar="TYPE", help="Jobs of this type only.")
@click.option("--since", metavar="AGE", help="Jobs of the last 90s, 30m, 12h or 7d only.")
@click.option("--search", metavar="TEXT", help="In name, type, error or progress message.")
@click.option("--limit", default=20, show_default=True, help="How many at most, newest first.")
@as_json
def list_jobs(
    status: str | None, job_type: str | None, since: str | None, search: str | None, limit: int, as_json: bool
) -> None:
    """List jobs, newest first."""
    import jobnb

    span = None if since is None else parse_age(since)
    printing.jobs(jobnb.jobs(status, job_type, span, search, limit), as_json=as_json)


@cli.command()
@click.argument("job_id")
@as_json
def show(job_id: str, as_json: bool) -> None:
    """Show everything about one job.

    Exits with 1 if it failed, with 0 if it is done or has not ended: for scripts that ask how a job went.
    """
    job = _get(job_id).refresh()
    printing.job(job, as_json=as_json)
    if job.status == "failed":
        raise click.exceptions.Exit(1)


@cli.command()
@click.argument("job_id")
@click.option("-f", "--follow", is_flag=True, help="Go on until the job has ended.")
@as_json
def logs(job_id: str, follow: bool, as_json: bool) -> None:
    """Print what a job printed and logged."""
    for line in _get(job_id).logs(follow=follow):
        click.echo(line.model_dump_json() if as_json else printing.plain(line.line))


@cli.command()
@click.argument("job_id")
@click.option("--force", is_flag=True, help="Raise an exception inside its function, wherever it is.")
def cancel(job_id: str, force: bool) -> None:
    """Ask a job to stop. Exits with 1 if it had ended already."""
    handle = _get(job_id)
    if not handle.cancel(force=force):
        click.echo(f"{handle.job.short_id} had ended already: {handle.refresh().state}", err=True)
        raise click.exceptions.Exit(1)
    ended = handle.wait(2)
    job = handle.refresh()
    click.echo(
        f"{job.short_id} {job.state}" if ended else f"{job.short_id} was asked to stop; its code has not ended yet"
    )


@cli.command()
@click.argument("job_id")
def retry(job_id: str) -> None:
    """Ask the process that ran a job to run it again, as a new job."""
    job = _get(job_id).retry().job
    click.echo(f"{job.job_id} is scheduled in the process that ran {job.retry_of}")


@cli.command("init-db")
@click.option("--roles", is_flag=True, help="Make the roles jobnb_runner and jobnb_monitor too (roles.sql).")
@click.option("--row-security", is_flag=True, help="Show people only the jobs of their own role (row_security.sql).")
def init_db(roles: bool, row_security: bool) -> None:
    """Make the tables, or bring older ones up to date."""
    from jobnb.api import default_service
    from jobnb.db import schema

    service = default_service()
    service.init_database()
    click.echo(f"the tables are up to date in {service.runtime.database.where}")
    if roles or row_security:
        service.run(schema.add_roles)
        click.echo("the roles jobnb_runner and jobnb_monitor are there: GRANT them to people")
    if row_security:
        service.run(schema.add_row_security)
        click.echo("people with the role jobnb_runner see their own jobs only")


@cli.command()
def url() -> None:
    """Print the database's address for other tools, such as psql; without a password. Starts the embedded server."""
    from jobnb.api import default_service

    database = default_service().runtime.database
    database.open()
    if database.embedded is not None:
        parts = database.embedded.conninfo()
        place = f"host={_quoted(parts['host'])}&port={parts['port']}"  # or it would be PGPORT
        click.echo(f"postgresql://{parts['user']}@/{parts['dbname']}?{place}")
        database.embedded.leave_running()  # for the tool that this address is for
    elif database.url is not None:
        click.echo(database.url.sqlalchemy().render_as_string(hide_password=True))


@cli.command()
@as_json
def doctor(as_json: bool) -> None:
    """Say which database is used, whether it works, and what waits to be stored. Exits with 1 if something is wrong."""
    from jobnb.cli.doctor import examine

    findings = examine()
    if as_json:
        click.echo(json.dumps(findings, default=str))
    else:
        printing.findings(findings)
    if findings["problems"]:
        raise click.exceptions.Exit(1)


@cli.command()
@click.option("--older-than", metavar="AGE", required=True, help="Jobs that finished longer ago: 12h, 30d.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def purge(older_than: str, yes: bool) -> None:
    """Delete finished jobs with their logs and values."""
    from jobnb.api import default_service
    from jobnb.db import queries

    span = parse_age(older_than)
    if not yes:
        click.confirm(f"delete all jobs that finished more than {older_than} ago?", abort=True, err=True)
    click.echo(f"{default_service().run(queries.purge, span)} jobs deleted")


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def parse_age(text: str) -> timedelta:
    """`90s`, `30m`, `12h`, `7d` or `2w` as a span.

    Raises:
        InvalidInput: anything else.
    """
    match = re.fullmatch(r"(\d{1,6})\s*([smhdw])", text.strip())
    if match is None:
        raise InvalidInput(f"{text!r} is no age: write a number and s, m, h, d or w, such as 30d")
    return timedelta(seconds=int(match[1]) * _UNITS[match[2]])


def _get(job_id: str) -> JobHandle[Any]:
    import jobnb

    return jobnb.get(job_id)


def _quoted(host: str) -> str:
    from urllib.parse import quote

    return quote(host, safe="/")
