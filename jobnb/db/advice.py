"""What to do next when a connection can't be made: libpq's words say what happened, these say what helps."""

from __future__ import annotations

import re

_ADVICE = (
    (r"certificate has expired", "the server's owner has to renew its certificate"),
    (
        r"certificate verify failed|self.signed certificate|unable to get local issuer",
        "the server's certificate has expired, or is not signed by the authority in sslrootcert: name that authority's "
        "file in DATABASE_URL with sslrootcert=FILE, or sslrootcert=system if it is a public one",
    ),
    (
        r"root certificate file",
        "name the file of the authority's certificate with sslrootcert=FILE, or write "
        "sslmode=verify-full&sslrootcert=system for servers with a public certificate",
    ),
    (
        r"does not match host name",
        "its certificate was made for another name: use that name in DATABASE_URL, or sslmode=verify-ca if you trust "
        "every server of that authority",
    ),
    (r"server does not support SSL", "remove sslmode from DATABASE_URL, or have TLS switched on in the server"),
    (r"channel binding is required", "remove channel_binding=require from DATABASE_URL"),
    (
        r"no pg_hba\.conf entry.*no encryption",
        "the server may want encryption: write sslmode=require in DATABASE_URL; otherwise its pg_hba.conf has to allow "
        "this user and address",
    ),
    (r"no pg_hba\.conf entry", "its pg_hba.conf has to allow this user, database and address"),
    (r"password authentication failed|no password supplied", "check the user and the password in DATABASE_URL"),
    (r"role .* does not exist", "check the user in DATABASE_URL"),
    (r"database .* does not exist", "make it (CREATE DATABASE), or correct the name at the end of DATABASE_URL"),
    (
        r"could not translate host name|failed to resolve|Name or service not known",
        "check the host in DATABASE_URL, and this machine's network",
    ),
    (
        r"read-only transaction",
        "it is a standby, or was made read-only: if that lasts, name the primary in DATABASE_URL",
    ),
    (r"No space left on device", "its disk is full: somebody has to make room there"),
    (
        r"too many clients|remaining connection slots|too many connections",
        "the server has no connection left: close some, raise max_connections, or put a pooler in front of it",
    ),
)


def advice_for(words: str) -> str:
    """What helps against a failure told in the driver's words, with `; ` before it; empty if nothing is known."""
    for pattern, advice in _ADVICE:
        if re.search(pattern, words):
            return f"; {advice}"
    return ""


# libpq has no code for a connection that was refused, only the server's words
_REFUSALS = (
    (r"FATAL:.*(password authentication failed|no password supplied)", "28P01"),
    (r'FATAL:.*(role ".*" (does not exist|is not permitted)|no pg_hba.conf entry|authentication failed)', "28000"),
    (r'FATAL:.*database ".*" does not exist', "3D000"),
)


def refusal_in(words: str) -> str | None:
    """PostgreSQL's code for a login that was refused, told in its own words; None for anything else."""
    return next((code for pattern, code in _REFUSALS if re.search(pattern, words)), None)
