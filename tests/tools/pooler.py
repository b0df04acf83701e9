"""PgBouncer in transaction mode, as Neon and many teams have it in front of their server."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from private_server import account, free_port
from waiting import until

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")

_CONFIGURATION = """
[databases]
* = {upstream} user={user}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {users}
admin_users = {user}
pool_mode = transaction
default_pool_size = {pool_size}
max_client_conn = 500
query_wait_timeout = 30
server_login_retry = 1
logfile = {log}
{further}
"""


def need(program: object, package: str) -> None:
    """Skip a test whose program is not installed; in CI everything is, so there it fails."""
    if program:
        return
    if os.environ.get("JOBNB_TEST_ALL"):
        pytest.fail(f"{package} is not installed")
    pytest.skip(f"needs the Debian package {package}")


class Pooler:
    """A PgBouncer on a free port; started at once.

    Args:
        upstream: where the server is, as PgBouncer writes it: `host=... port=...`.
        user: the role as which everybody is connected.
        pool_size: how many connections to the server each database gets.
        further: further lines of its configuration.
    """

    def __init__(self, upstream: str, user: str = "jobnb", pool_size: int = 3, further: str = "") -> None:
        self.port, self.user = free_port(), user
        self.folder = Path(tempfile.mkdtemp(prefix="jobnb-pooler-"))
        self.log = self.folder / "log"
        users = self.folder / "users"
        users.write_text(f'"{user}" ""\n')
        configuration = self.folder / "pgbouncer.ini"
        configuration.write_text(
            _CONFIGURATION.format(
                upstream=upstream, user=user, port=self.port, users=users, pool_size=pool_size, log=self.log,
                further=further,
            )
        )  # fmt: skip
        for path in (self.folder, users, configuration):
            account().give(path)
        self._configuration = configuration
        self._process = self._start()

    def url(self, database: str) -> str:
        """Where a database is, through the pooler."""
        return f"postgresql://{self.user}@127.0.0.1:{self.port}/{quote(database)}"

    def restart(self) -> None:
        """End it at once, with all connections, and start it again."""
        self._end()
        self._process = self._start()

    def stop(self) -> None:
        """End it at once, with all connections."""
        self._end()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self) -> subprocess.Popen[bytes]:
        assert PROGRAM is not None
        process = subprocess.Popen(
            [PROGRAM, "-q", str(self._configuration)], cwd="/", start_new_session=True, **account().spawn_options()
        )
        until(lambda: self._answers(process), why="PgBouncer does not start")
        return process

    def _end(self) -> None:
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(20)

    def _answers(self, process: subprocess.Popen[bytes]) -> bool:
        assert process.poll() is None, self.log.read_text() if self.log.exists() else "PgBouncer ended"
        try:
            psycopg.connect(self.url("pgbouncer"), autocommit=True, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True
