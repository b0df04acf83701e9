"""Where the database is: every spelling of a PostgreSQL address becomes one `DatabaseURL`.

Nothing here opens a connection, and no message or repr contains a password, or a piece of text that might be
one: an address that can't be understood is never quoted back, only described.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from jobnb.db.url_options import clean_options, unusable

if TYPE_CHECKING:
    from collections.abc import Mapping

    import sqlalchemy

DEFAULT_PORT = 5432

_DRIVERS = ("", "psycopg", "psycopg2", "psycopg2cffi", "psycopg_async", "asyncpg", "pg8000")
_OTHER_SYSTEMS = (
    "jdbc", "mysql", "mariadb", "sqlite", "mssql", "sqlserver", "oracle", "mongodb", "redis", "duckdb",
    "prisma", "cockroachdb", "redshift", "snowflake", "file", "http", "https",
)  # fmt: skip

_ENCODE_ADVICE = (
    "the user name or password seems to contain one of @ : / ? # % as it is: write it percent-encoded "
    "(@ is %40, : is %3A, / is %2F, ? is %3F, # is %23, % is %25)"
)
_EXAMPLE = "expected postgresql://USER:PASSWORD@HOST:PORT/DATABASE"


class Secret(str):
    """A text that tracebacks with local variables, loggers and reprs of dicts do not show."""

    def __repr__(self) -> str:
        return "'***'"


@dataclass(frozen=True)
class DatabaseURL:
    """The address of one PostgreSQL database. Neither `repr` nor `str` shows the password.

    Attributes:
        database: name of the database.
        host: a name, an address, or (beginning with `/`) a unix socket's folder; None is libpq's default.
        port: None is libpq's default.
        user: None is libpq's default, the name of the OS user.
        options: other libpq parameters, such as `sslmode`.
        notes: one sentence for each thing that was changed or dropped, for `jobnb doctor`.
    """

    database: str
    host: str | None = None
    port: int | None = None
    user: str | None = None
    password: str | None = None
    options: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def display(self) -> str:
        """The address for people: `host:port/database as user`."""
        host = self.host or "localhost"
        host = f"[{host}]" if ":" in host else host
        return f"{host}:{self.port or DEFAULT_PORT}/{self.database}" + (f" as {self.user}" if self.user else "")

    def sqlalchemy(self) -> sqlalchemy.URL:
        """The same address for `sqlalchemy.create_engine`, with the driver psycopg 3."""
        from sqlalchemy import URL

        return URL.create(
            "postgresql+psycopg",
            self.user,
            self.password,
            self.host,
            self.port,
            self.database,
            dict(self.options),
        )

    def conninfo(self) -> dict[str, Any]:
        """The same address as keyword arguments of `psycopg.connect`."""
        password = None if self.password is None else Secret(self.password)
        parts = {
            "host": self.host, "port": self.port, "user": self.user, "password": password, "dbname": self.database,
            **dict(self.options),
        }  # fmt: skip
        return {name: value for name, value in parts.items() if value is not None}

    def redact(self, text: str) -> str:
        """`text` with `***` in place of the password, however it is percent-encoded there."""
        if not self.password:
            return text
        return re.sub("".join(_any_spelling(char) for char in self.password), "***", text)

    def __repr__(self) -> str:
        return f"DatabaseURL({self.display})"

    __str__ = __repr__


def normalize(text: str) -> DatabaseURL:
    """Understand an address as people paste it: any client library's URL, a `psql '...'` line, or a conninfo.

    Args:
        text: surrounding white space and quotes don't matter. Empty text is refused: the caller decides what
            an unset address means.

    Raises:
        ConfigurationError: says what is wrong and what to write instead, never quoting the address.
    """
    text = _unwrap(text)
    _check_text(text)
    scheme, separator, rest = text.partition("://")
    if separator and "=" not in scheme and " " not in scheme:
        _check_scheme(scheme)
        return from_parameters(_url_parameters(rest))
    _check_scheme_without_slashes(text)
    return from_parameters(_conninfo_parameters(text))


def from_parameters(parameters: Mapping[str, str]) -> DatabaseURL:
    """Make a `DatabaseURL` from libpq's keywords: `host`, `port`, `user`, `password`, `dbname`, `sslmode`...

    Raises:
        ConfigurationError: a value that can't work, described without quoting it.
    """
    left = {key: value for key, value in parameters.items() if value != ""}
    host = left.pop("host", None)
    if any("," in text for text in (host or "", left.get("port", ""), left.get("hostaddr", ""))):
        raise unusable("it names several hosts", "give one host: jobnb does not choose among servers")
    if host is not None and not host.startswith(("/", "@")) and re.search(r"[\s@/?#\[\]]", host):
        raise unusable("its host name has a character that no host name has", _ENCODE_ADVICE)
    port = _port(left.pop("port", None))
    user, password, database = left.pop("user", None), left.pop("password", None), left.pop("dbname", None)
    if database is None:
        raise unusable("it names no database", f"add the name at its end; {_EXAMPLE}")
    options, notes = clean_options(left, host or "", secret=password is not None)
    return DatabaseURL(database, host, port, user, password, tuple(options.items()), tuple(notes))


def _unwrap(text: str) -> str:
    """Undo what copy buttons and shells put around an address."""
    text = re.sub(r"^(?:export\s+)?DATABASE_URL\s*=\s*", "", text.strip())
    text = re.sub(r"^psql\s+(?:-d\s+)?", "", text)
    while len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"`":
        text = text[1:-1].strip()
    return text


def _check_text(text: str) -> None:
    if not text:
        raise unusable("it is empty", "unset it to use the embedded server")
    if any(ord(char) < 32 or ord(char) == 127 for char in text):
        raise unusable("it has a line break or another control character inside", _EXAMPLE)
    if re.search(r"\$\{\w*\}?|\$\(|\{\{|\[YOUR-PASSWORD\]", text):
        raise unusable(
            "it has a variable that was not expanded (${NAME}) or a placeholder",
            "put the value in its place; .env files need the value itself",
        )


def _check_scheme(scheme: str) -> None:
    system, _, driver = scheme.lower().partition("+")
    if system in ("postgres", "postgresql") and driver in _DRIVERS:
        return
    _check_other_system(system)
    raise unusable("its scheme is not one of PostgreSQL", _EXAMPLE)


def _check_scheme_without_slashes(text: str) -> None:
    _check_other_system(text.lower().partition(":")[0])
    if "=" not in text:
        raise unusable("it is neither a URL nor a list of keywords like `host=... dbname=...`", _EXAMPLE)


def _check_other_system(name: str) -> None:
    system = name.partition(":")[0]
    if system in _OTHER_SYSTEMS:
        raise unusable(f"it begins with {system}:, and jobnb works with PostgreSQL only", _EXAMPLE)


def _url_parameters(rest: str) -> dict[str, str]:
    """What stands behind `scheme://`, as libpq's keywords."""
    address, _, query = rest.partition("?")
    authority, _, database = address.partition("/")
    userinfo, _, place = authority.rpartition("@")
    _check_encoding(rest, userinfo, database, query)
    user, _, password = userinfo.partition(":")
    host, port = _split_place(place)
    if "/" in database:
        raise unusable("its database name has a slash", "write %2F for a slash in the name, none at its end")
    parameters = {"user": user, "password": password, "host": host, "port": port, "dbname": database}
    decoded = {key: _decode(value) for key, value in parameters.items() if value}
    return decoded | _query_parameters(query)


def _check_encoding(rest: str, userinfo: str, database: str, query: str) -> None:
    """Refuse characters that would silently cut the address at the wrong place."""
    cut_short = "@" in userinfo or userinfo.count(":") > 1 or "@" in database
    cut_by_question = "@" in query and not userinfo and "=" not in query.partition("@")[0]
    if cut_short or cut_by_question or "#" in rest or re.search(r"%(?![0-9A-Fa-f]{2})", rest):
        raise unusable("it can't be taken apart", _ENCODE_ADVICE)


def _split_place(place: str) -> tuple[str, str]:
    """Host and port; an IPv6 address stands in brackets."""
    if "," in place:
        return place, ""
    if bracketed := re.fullmatch(r"\[([0-9A-Fa-f:.]+(?:%25\w+)?)\](?::(.*))?", place):
        return bracketed[1], bracketed[2] or ""
    host, _, port = place.partition(":")
    if ":" in port:
        raise unusable("its host has more than one colon", f"an IPv6 address stands in brackets; or {_ENCODE_ADVICE}")
    return host, port


def _query_parameters(query: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for item in filter(None, query.split("&")):
        key, separator, value = item.partition("=")
        key = _decode(key)
        if not separator:
            raise unusable("a parameter behind the ? has no value", "write name=value, joined by &")
        if key in found:
            raise unusable("a parameter behind the ? is there twice", "give each parameter (and one host) once")
        found[key] = _decode(value)
    return {key: value for key, value in found.items() if value}


def _decode(text: str) -> str:
    decoded = unquote(text, errors="replace")
    if "\ufffd" in decoded or "\0" in decoded:
        raise unusable("it has percent-encoded bytes that are not UTF-8 text", _ENCODE_ADVICE)
    return decoded


def _conninfo_parameters(text: str) -> dict[str, str]:
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    parsed = None
    with suppress(ProgrammingError):  # its message quotes the text: ours must not even have it as context
        parsed = conninfo_to_dict(text)
    if parsed is None:
        raise unusable("its keywords can't be read", "expected host=... port=... user=... password=... dbname=...")
    return {key: str(value) for key, value in parsed.items() if value is not None}


def _port(text: str | None) -> int | None:
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 0 < int(text) < 65536:
        raise unusable("its port is not a number from 1 to 65535", f"{_EXAMPLE}; {_ENCODE_ADVICE}")
    return int(text)


def _any_spelling(char: str) -> str:
    """A pattern for the character as it is, or percent-encoded in either case."""
    encoded = "".join(f"%{byte:02x}" for byte in char.encode("utf-8", "surrogatepass"))
    return f"(?:{re.escape(char)}|(?i:{encoded}))"
