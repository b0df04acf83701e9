"""Every spelling of an address becomes one DatabaseURL, and no error tells a secret."""

from __future__ import annotations

import subprocess
import sys
import traceback

import pytest

from jobnb.db.urls import DatabaseURL, from_parameters, normalize
from jobnb.errors import ConfigurationError

SECRET = "hunter2secret"

NEON = "ep-cool-1-pooler.eu-central-1.aws.neon.tech"
PLAIN = DatabaseURL("db", "h", None, "u", "p")

SAME_AS_PLAIN = [
    "postgresql://u:p@h/db",
    "postgres://u:p@h/db",
    "POSTGRESQL://u:p@h/db",
    "postgresql+psycopg://u:p@h/db",
    "postgresql+psycopg2://u:p@h/db",
    "postgresql+psycopg_async://u:p@h/db",
    "postgresql+asyncpg://u:p@h/db",
    "psql 'postgresql://u:p@h/db'",
    'psql "postgresql://u:p@h/db"',
    "psql -d postgresql://u:p@h/db",
    "psql postgres://u:p@h/db",
    "'postgresql://u:p@h/db'",
    '"postgresql://u:p@h/db"',
    "  postgresql://u:p@h/db\n",
    "DATABASE_URL=postgresql://u:p@h/db",
    "export DATABASE_URL='postgresql://u:p@h/db'",
    "host=h dbname=db user=u password=p",
    "host = h  dbname='db' user=u password='p'",
    "psql 'host=h dbname=db user=u password=p'",
    "postgresql:///db?host=h&user=u&password=p",
    "postgresql://u:p@h?dbname=db",
    "postgresql://u:p@h/db?",
    "postgresql://%75:%70@%68/%64b",
]

UNDERSTOOD = {
    "postgresql://u:p@h:6543/db": DatabaseURL("db", "h", 6543, "u", "p"),
    "postgresql://h/db": DatabaseURL("db", "h"),
    "postgresql://u@h/db": DatabaseURL("db", "h", None, "u"),
    "postgresql://u:@h/db": DatabaseURL("db", "h", None, "u"),
    "postgresql:///db": DatabaseURL("db"),
    "postgresql:///db?host=/socket/dir": DatabaseURL("db", "/socket/dir"),
    "postgresql://u@%2Fvar%2Frun/db": DatabaseURL("db", "/var/run", None, "u"),
    "postgresql://postgres:@/postgres?host=scratch&port=7": DatabaseURL("postgres", "scratch", 7, "postgres"),
    "postgresql://u:p@[::1]:5433/db": DatabaseURL("db", "::1", 5433, "u", "p"),
    "postgresql://[fe80::1%25eth0]/db": DatabaseURL("db", "fe80::1%eth0"),
    "postgresql://u:p%40%3A%2f%23%25+@h/db": DatabaseURL("db", "h", None, "u", "p@:/#%+"),
    "host=h dbname=db password=a://b@c": DatabaseURL("db", "h", None, None, "a://b@c"),
    "postgresql://u:%24%7BPW%7D@h/db": DatabaseURL("db", "h", None, "u", "${PW}"),
    "postgresql://h/db?application_name=a+b%20c": DatabaseURL("db", "h", options=(("application_name", "a+b c"),)),
}

OPTIONS = {
    "postgresql://h/db?sslmode=verify-ca&sslrootcert=/ca.pem": {
        "sslmode": "verify-ca",
        "sslrootcert": "/ca.pem",
    },
    "postgresql://h/db?ssl=require": {"sslmode": "require"},
    "postgresql://h/db?ssl=true": {"sslmode": "require"},
    "postgresql://h/db?ssl=verify-full": {"sslmode": "verify-full"},
    "postgresql://h/db?ssl=true&sslmode=verify-full": {"sslmode": "verify-full"},
    "postgresql://h/db?options=endpoint%3Dep-x": {"options": "endpoint=ep-x"},
    "postgresql://h/db?sslmode=require&channel_binding=require": {
        "sslmode": "require",
        "channel_binding": "require",
    },
    "postgresql://h/db?sslmode=verify-full&sslrootcert=system": {
        "sslmode": "verify-full",
        "sslrootcert": "system",
    },
    "postgresql://h/db?schema=public&pgbouncer=true&connection_limit=1": {},
    "postgresql://h/db?pool_timeout=3&statement_cache_size=0": {},
    f"postgresql://{NEON}/db": {"sslmode": "require"},
    f"postgresql://{NEON}/db?sslmode=verify-full": {"sslmode": "verify-full"},
    f"postgresql://{NEON}/db?sslrootcert=system": {"sslrootcert": "system", "sslmode": "verify-full"},
    f"host={NEON} dbname=db": {"sslmode": "require"},
    "postgresql://notneon.tech/db": {},
}

# What is wrong -> words that the message must have.
REFUSED = {
    "": "empty",
    "  \n": "empty",
    "''": "empty",
    f"postgresql://u:{SECRET}@ss@h/db": "%40",
    f"postgresql://u:{SECRET}/x@h/db": "%2F",
    f"postgresql://u:{SECRET}#x@h/db": "%23",
    f"postgresql://u:{SECRET}?x@h/db": "%3F",
    f"postgresql://u:{SECRET}?x=1@h/db": "%3F",
    f"postgresql://u:a:{SECRET}@h/db": "%3A",
    f"postgresql://u:{SECRET}%zz@h/db": "%25",
    f"postgresql://u:{SECRET}%@h/db": "%25",
    f"postgresql://u:{SECRET}%ff@h/db": "UTF-8",
    f"postgresql://u:a:b@h:{SECRET}/db": "%3A",
    f"postgresql://u:p@h:{SECRET}/db": "port",
    f"postgresql://u:{SECRET}@h:0/db": "port",
    f"postgresql://u:{SECRET}@h:65536/db": "port",
    f"postgresql://u:{SECRET}@h:٣/db": "port",
    f"postgresql://u:{SECRET}/db": "port",
    f"postgresql://u:{SECRET}@h:1:2/db": "brackets",
    f"postgresql://u:{SECRET}@::1/db": "brackets",
    f"postgresql://u:{SECRET}@[h/db": "host",
    f"postgresql://u:{SECRET}@h 1/db": "host",
    f"postgresql://u:{SECRET}@h1:5432,h2:5433/db": "several hosts",
    f"postgresql://u:{SECRET}@/db?host=h1,h2": "several hosts",
    f"postgresql://u:{SECRET}@/db?host=h1&host=h2": "twice",
    f"host=h1,h2 dbname=db password={SECRET}": "several hosts",
    f"postgresql://u:{SECRET}@h/": "no database",
    f"postgresql://u:{SECRET}@h": "no database",
    f"host=h password={SECRET}": "no database",
    "postgresql://": "no database",
    f"postgresql://u:{SECRET}@h/db/": "slash",
    f"postgresql://u:{SECRET}${{PW}}@h/db": "not expanded",
    f"postgresql://{SECRET}:${{PW@h/db": "not expanded",
    "postgresql://u:[YOUR-PASSWORD]@h/db": "placeholder",
    f"postgresql://u:{SECRET}\n@h/db": "line break",
    f"postgresql://u:{SECRET}@h/db?sslmode=REQUIRE": "verify-full",
    f"postgresql://u:{SECRET}@h/db?ssl=maybe": "verify-full",
    f"postgresql://u:{SECRET}@h/db?sslmode={SECRET}": "disable, allow, prefer, require",
    f"postgresql://u:{SECRET}@h/db?sslmode=require&sslrootcert=system": "verify-full",
    f"postgresql://u:{SECRET}@h/db?schema=mine": "search_path",
    f"postgresql://u:{SECRET}@h/db?sslmod=require": "does not know",
    "postgresql://u@h/db?sslmod=require": "sslmod",
    f"postgresql://u@h/db?password=a&{SECRET}=1": "does not know",
    f"postgresql://u@h/db?password=a&{SECRET}": "no value",
    f"mysql://u:{SECRET}@h/db": "PostgreSQL only",
    f"mysql+pymysql://u:{SECRET}@h/db": "PostgreSQL only",
    f"jdbc:postgresql://h/db?password={SECRET}": "PostgreSQL only",
    "sqlite:///x.db": "PostgreSQL only",
    "sqlite:x.db": "PostgreSQL only",
    f"prisma+postgres://{SECRET}": "PostgreSQL only",
    f"postgresql+oracle://u:{SECRET}@h/db": "scheme",
    f"{SECRET}://u:p@h/db": "scheme",
    SECRET: "neither a URL nor",
    f"u:{SECRET}@h/db": "neither a URL nor",
    f"host=h dbname=db {SECRET}": "can't be read",
    f"host=h dbname=db pass={SECRET}": "can't be read",
    f"host=h dbname=db password='{SECRET}": "can't be read",
}


def refusal(text: str) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        normalize(text)
    return caught.value


@pytest.mark.parametrize("text", SAME_AS_PLAIN)
def test_all_spellings_of_an_address_are_equal(text: str) -> None:
    assert normalize(text) == PLAIN


@pytest.mark.parametrize("text", UNDERSTOOD)
def test_an_address_is_taken_apart(text: str) -> None:
    assert normalize(text) == UNDERSTOOD[text]


@pytest.mark.parametrize("text", OPTIONS)
def test_parameters_are_kept_translated_or_dropped(text: str) -> None:
    assert dict(normalize(text).options) == OPTIONS[text]


def test_what_was_dropped_or_added_is_noted() -> None:
    notes = normalize(f"postgresql://{NEON}/db?pgbouncer=true").notes
    assert [note.split()[0:2] for note in notes] == [["dropped", "pgbouncer:"], ["added", "sslmode=require:"]]


@pytest.mark.parametrize("text", REFUSED)
def test_an_unusable_address_is_refused_with_words(text: str) -> None:
    assert REFUSED[text] in str(refusal(text))


@pytest.mark.parametrize("text", REFUSED)
def test_no_refusal_tells_the_secret(text: str) -> None:
    error = refusal(text)
    assert SECRET not in str(error) + repr(error)
    assert error.__cause__ is None
    assert error.__context__ is None
    assert SECRET not in "".join(traceback.format_exception_only(error))
    assert SECRET not in "".join(traceback.format_exception(error))


def test_repr_and_display_hide_the_password() -> None:
    url = normalize(f"postgresql://u:{SECRET}@h:6543/db")
    assert url.display == "h:6543/db as u"
    assert f"{url} {url!r} {url!s} {[url]}".count(SECRET) == 0
    assert SECRET not in repr(url.sqlalchemy())


def test_display_names_the_default_port_and_brackets_ipv6() -> None:
    assert normalize("postgresql://[::1]/db").display == "[::1]:5432/db"
    assert normalize("postgresql:///db").display == "localhost:5432/db"


def test_redact_finds_the_password_in_every_spelling() -> None:
    url = normalize("postgresql://u:p%40s.s%c3%bc@h/db")
    assert url.password == "p@s.sü"
    for spelling in ("p@s.sü", "p%40s.s%C3%BC", "p%40s.s%c3%bc", "%70%40s%2Es%C3%bc", "p@s.s%C3%BC"):
        assert url.redact(f"cannot log in with {spelling}!") == "cannot log in with ***!"
    assert url.redact("p@sxsü") == "p@sxsü"


def test_redact_without_a_password_changes_nothing() -> None:
    assert normalize("postgresql://h/db").redact("some text") == "some text"


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://u:p%40%3A+@h:6543/db?sslmode=verify-ca&application_name=a%2Bb",
        "postgresql://u@/db?host=/socket/dir",
        "postgresql://u:p@[::1]:5432/db",
    ],
)
def test_sqlalchemy_hands_psycopg_the_same_address(text: str) -> None:
    from sqlalchemy import create_engine

    url = normalize(text)
    _, keywords = create_engine(url.sqlalchemy()).dialect.create_connect_args(url.sqlalchemy())
    keywords = {key: value for key, value in keywords.items() if isinstance(value, str | int)}
    wanted = {
        "host": url.host,
        "port": url.port,
        "user": url.user,
        "password": url.password,
        "dbname": url.database,
    }
    assert keywords == {k: v for k, v in wanted.items() if v is not None} | dict(url.options)


def test_keywords_of_the_embedded_server_become_an_address() -> None:
    url = from_parameters({"host": "/run/x", "port": "5432", "user": "jobnb", "dbname": "jobnb"})
    assert url == DatabaseURL("jobnb", "/run/x", 5432, "jobnb")


def test_quotes_in_a_conninfo_value_are_undone() -> None:
    assert normalize(r"host=h dbname=db password='it\'s a://b'").password == "it's a://b"


def test_importing_the_module_loads_neither_sqlalchemy_nor_psycopg() -> None:
    code = "import sys, jobnb.db.urls as u; u.normalize('postgres://u:p@h/db'); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"sqlalchemy", "psycopg"} & set(loaded)
