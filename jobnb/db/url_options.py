"""Which parameters a database address may carry: libpq's pass, those of other clients are dropped."""

from __future__ import annotations

from jobnb.errors import ConfigurationError

SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")

_SSL_SPELLINGS = {"true": "require", "1": "require", "false": "disable", "0": "disable"}

# libpq 18 ("Parameter Key Words" in the PostgreSQL manual), without those that are fields of DatabaseURL.
_LIBPQ = frozenset({
    "application_name", "channel_binding", "client_encoding", "connect_timeout",
    "fallback_application_name", "gssdelegation", "gssencmode", "gsslib", "hostaddr", "keepalives",
    "keepalives_count", "keepalives_idle", "keepalives_interval", "krbsrvname", "load_balance_hosts",
    "max_protocol_version", "min_protocol_version", "options", "passfile", "replication", "require_auth",
    "requirepeer", "scram_client_key", "scram_server_key", "service", "servicefile",
    "ssl_max_protocol_version", "ssl_min_protocol_version", "sslcert", "sslcertmode", "sslcompression",
    "sslcrl", "sslcrldir", "sslkey", "sslkeylogfile", "sslmode", "sslnegotiation", "sslpassword",
    "sslrootcert", "sslsni", "target_session_attrs", "tcp_user_timeout",
})  # fmt: skip

# What Prisma, asyncpg, node-postgres and Supabase keep in the URL; it means nothing here.
_FOREIGN = frozenset({
    "connection_limit", "max_overflow", "pgbouncer", "pool_size", "pool_timeout",
    "prepared_statement_cache_size", "prepared_statement_name_func", "socket_timeout", "sslaccept",
    "sslidentity", "statement_cache_size", "supa", "uselibpqcompat", "workaround",
})  # fmt: skip


def unusable(what: str, advice: str) -> ConfigurationError:
    """The error for an address that can't work; both texts must quote nothing of the address."""
    return ConfigurationError(f"the database URL (DATABASE_URL or database_url) can't be used: {what}; {advice}")


def clean_options(given: dict[str, str], host: str, *, secret: bool) -> tuple[dict[str, str], list[str]]:
    """Drop what belongs to other clients, refuse what nobody knows.

    Args:
        given: parameters by name, all with a value.
        host: decides what is added (Neon needs encryption).
        secret: the address has a password, so that unknown names are not quoted.

    Returns:
        The parameters for libpq, and a sentence for each one dropped or added.

    Raises:
        ConfigurationError: an unknown parameter or an impossible value.
    """
    options = dict(given)
    foreign = sorted(options.keys() & _FOREIGN)
    notes = [f"dropped {name}: a setting of another client library" for name in foreign]
    for name in foreign:
        del options[name]
    _drop_public_schema(options)
    _settle_ssl(options, host, notes)
    for name in sorted(options.keys() - _LIBPQ):
        # Behind a password that has a bare & in it, the "name" may be the rest of the password.
        shown = "a parameter" if secret else f"the parameter {name!r}"
        raise unusable(f"it has {shown} that PostgreSQL's client does not know", "remove it, or check its spelling")
    return options, notes


def _drop_public_schema(options: dict[str, str]) -> None:
    if options.pop("schema", "public") != "public":
        raise unusable(
            "it sets `schema`, which is no parameter of PostgreSQL",
            "remove it and run: ALTER ROLE your_role SET search_path = your_schema",
        )


def _settle_ssl(options: dict[str, str], host: str, notes: list[str]) -> None:
    spelled = options.pop("ssl", None)
    if spelled is not None and "sslmode" not in options:
        options["sslmode"] = _SSL_SPELLINGS.get(spelled, spelled)
    system_roots = options.get("sslrootcert") == "system"
    if "sslmode" not in options and (host == "neon.tech" or host.endswith(".neon.tech")):
        options["sslmode"] = "verify-full" if system_roots else "require"
        notes.append(f"added sslmode={options['sslmode']}: Neon serves encrypted connections only")
    mode = options.get("sslmode")
    if mode is not None and mode not in SSL_MODES:
        raise unusable("its sslmode is not a valid one", f"use one of {', '.join(SSL_MODES)}, in small letters")
    if system_roots and mode not in (None, "verify-full"):
        raise unusable("sslrootcert=system works with sslmode=verify-full only", "write sslmode=verify-full")
