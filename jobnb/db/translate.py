"""The one door through which the driver's errors become jobnb's."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
import sqlalchemy.exc

from jobnb.db.advice import advice_for, refusal_in
from jobnb.errors import (
    DatabaseError,
    DatabaseUnavailable,
    InvalidInput,
    JobnbError,
    PermissionDenied,
    SchemaMismatch,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# classes and codes of https://www.postgresql.org/docs/current/errcodes-appendix.html that pass by themselves:
# connection, resources (disk full, too many connections), operator intervention (shutdown), system, rollback
_PASSING_CLASSES = ("08", "53", "57", "58", "40")
_PASSING_CODES = ("25006", "55P03", "XX000")
_WRONG_LOGIN = ("28P01", "28000", "3D000")


@contextmanager
def translated(where: str, redact: Callable[[str], str]) -> Iterator[None]:
    """Raise jobnb's error for whatever SQLAlchemy or psycopg raises in the block.

    Args:
        where: the server in words, for the message; without its password.
        redact: takes the password out of a server's message.
    """
    try:
        yield
    except JobnbError:
        raise
    except sqlalchemy.exc.TimeoutError:
        raise DatabaseUnavailable(f"all connections of this process to {where} are busy: try again") from None
    except sqlalchemy.exc.InvalidRequestError as error:
        if "connection is closed" not in str(error):
            raise
        raise DatabaseUnavailable(f"the connection to {where} was cut at this very moment: try again") from None
    except (sqlalchemy.exc.DBAPIError, OSError) as error:
        raise translate(error, where, redact) from None
    except Exception as error:
        if type(error).__module__.startswith("psycopg"):
            raise translate(error, where, redact) from None
        raise


def translate(error: Exception, where: str, redact: Callable[[str], str]) -> JobnbError:
    """Jobnb's error for one of the driver's."""
    original = getattr(error, "orig", None) or error
    sqlstate: str | None = getattr(original, "sqlstate", None)
    text = redact(" ".join(str(original).split()))
    if _is_connection_loss(error, sqlstate):
        did_answer = sqlstate is not None or "FATAL:" in text or "certificate" in text
        what = f"{where} can't be used now" if did_answer else f"no answer from {where}"
        words = f"{what}: {text.removeprefix('connection failed: ')}{advice_for(text)}"
        return DatabaseUnavailable(words, sqlstate or refusal_in(text))
    if sqlstate == "23503":
        # the server names the table that refers to another one, on both sides of a foreign key
        referring = getattr(getattr(original, "diag", None), "table_name", None)
        if referring not in (None, "jobs", "job_logs", "job_values"):
            return DatabaseError(f"the table {referring} still refers to a job that was to go: {text}", sqlstate)
        return _unknown_reference(text)
    if sqlstate == "42501":
        return PermissionDenied(f"this role may not do that in {where}: {text}; ask the owner for GRANT", sqlstate)
    if sqlstate in ("42P01", "42703"):
        return SchemaMismatch(f"{where} lacks jobnb's tables or columns: {text}; run `jobnb init-db`", sqlstate)
    return DatabaseError(f"{where} refused: {text}", sqlstate)


def _unknown_reference(text: str) -> InvalidInput:
    """The error for a foreign key; the server tells the column in its message only."""
    if key := re.search(r"\((\w+)\)=\(([^)]*)\)", text):
        return InvalidInput(f"{key[1]} is {key[2]}: no such row in its table; add it there first", argument=key[1])
    return InvalidInput(f"a document_id, property_id or job_id names a row that does not exist: {text}")


def _is_connection_loss(error: Exception, sqlstate: str | None) -> bool:
    if isinstance(error, OSError) or getattr(error, "connection_invalidated", False):
        return True
    if sqlstate is None:
        # libpq reports failed connections and broken sockets without a code, as the first two classes; the third is
        # what psycopg makes of the answers of a pooler whose server went away
        original = getattr(error, "orig", None) or error
        return isinstance(original, (psycopg.OperationalError, psycopg.InterfaceError, psycopg.InternalError))
    return sqlstate[:2] in _PASSING_CLASSES or sqlstate in _PASSING_CODES or sqlstate in _WRONG_LOGIN
