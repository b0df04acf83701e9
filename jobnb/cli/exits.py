"""What the command line says, and exits with, when something goes wrong."""

from __future__ import annotations

import click

from jobnb.errors import ConfigurationError, DatabaseUnavailable, InvalidInput, JobnbError, JobNotFound


def exit_code(error: Exception) -> int:
    """Tell `error` on standard error and give the exit code for it; raises what is a fault of jobnb's own."""
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, click.Abort):
        click.echo("stopped", err=True)
        return 1
    if isinstance(error, click.ClickException):
        error.show()
        return error.exit_code
    if not isinstance(error, JobnbError):
        raise error
    click.echo(f"jobnb: {error}", err=True)
    return _code(error)


def _code(error: JobnbError) -> int:
    if isinstance(error, DatabaseUnavailable):
        return 3
    if isinstance(error, JobNotFound):
        return 4
    return 2 if isinstance(error, (InvalidInput, ConfigurationError)) else 1
