"""TLS against a real server: what is verified is verified, and what is wrong is said in words a person can use."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from chaos_proxy import ChaosProxy
from pooler import need
from private_server import DEBIAN_PROGRAMS, PrivateServer
from waiting import in_time

import jobnb

PASSWORD = "tls-s3cret"
USER = "owner"
ONLY_TLS = "local all all trust\nhostssl all owner 127.0.0.1/32 scram-sha-256\nhostssl all all 127.0.0.1/32 trust\n"


class TlsServer(PrivateServer):
    """A server that takes encrypted connections only, with certificates of an authority of ours."""

    def __init__(self, authority: trustme.CA) -> None:
        need(DEBIAN_PROGRAMS, "postgresql")
        super().__init__("ssl = off\npassword_encryption = 'scram-sha-256'\n", programs=DEBIAN_PROGRAMS[-1])
        self.authority = authority
        self.ask(f"CREATE ROLE {USER} LOGIN SUPERUSER PASSWORD '{PASSWORD}'")
        (self.data / "pg_hba.conf").write_text(ONLY_TLS)
        self.use(authority.issue_cert("localhost"))

    def use(self, certificate: trustme.LeafCert) -> None:
        """Show this certificate from now on."""
        key, chain = self.data / "server.key", self.data / "server.crt"
        for path in (key, chain):
            path.unlink(missing_ok=True)
        certificate.private_key_pem.write_to_path(key)
        for blob in certificate.cert_chain_pems:
            blob.write_to_path(chain, append=True)
        key.chmod(0o600)
        for path in (key, chain):
            self.account.give(path)
        (self.data / "postgresql.auto.conf").write_text("ssl = on\n")
        self.restart()

    def address(
        self, options: str, *, host: str = "localhost", port: int | None = None, password: str = PASSWORD
    ) -> str:
        return f"postgresql://{USER}:{password}@{host}:{port or self.port}/postgres?{options}"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[trustme.CA, Path]:
    """A certificate authority, and the file of its certificate."""
    authority, path = trustme.CA(), tmp_path_factory.mktemp("tls") / "authority.pem"
    authority.cert_pem.write_to_path(path)
    return authority, path


@pytest.fixture(scope="module")
def tls(authority: tuple[trustme.CA, Path]) -> Iterator[TlsServer]:
    server = TlsServer(authority[0])
    yield server
    server.remove()


@pytest.fixture
def roots(authority: tuple[trustme.CA, Path], monkeypatch: pytest.MonkeyPatch, home: Path, tmp_path: Path) -> Path:
    """The file of the authority's certificate; libpq's own default file is not there."""
    monkeypatch.setenv("HOME", str(tmp_path))
    return authority[1]


def use(address: str) -> str:
    """Run a job there; gives how its connections were encrypted."""
    with jobnb.SyncJobService(address) as service:
        assert service.submit(int, "7").result(20) == 7
        query = "SELECT DISTINCT version FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'jobnb'"
        return ", ".join(str(row[0]) for row in service.run(lambda conn: list(conn.exec_driver_sql(query))))


def refusal(address: str) -> str:
    """What a person is told who tries this address."""
    began = time.monotonic()
    with pytest.raises(jobnb.DatabaseUnavailable) as caught, jobnb.SyncJobService(address) as service:
        service.count_jobs()
    in_time(began, 3.0)
    assert PASSWORD not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "options", ["sslmode=require", "sslmode=require&channel_binding=require", "", "ssl=true", "sslmode=prefer"]
)
def test_encryption_without_verification_works(options: str, tls: TlsServer, roots: Path) -> None:
    assert use(tls.address(options)) == "TLSv1.3"


def test_full_verification_works_with_the_authoritys_certificate(tls: TlsServer, roots: Path) -> None:
    assert use(tls.address(f"sslmode=verify-full&sslrootcert={roots}")) == "TLSv1.3"


def test_the_systems_own_authorities_can_be_asked(tls: TlsServer, roots: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = refusal(tls.address("sslmode=verify-full&sslrootcert=system"))
    assert "certificate" in told
    assert "sslrootcert" in told
    monkeypatch.setenv("SSL_CERT_FILE", str(roots))
    assert use(tls.address("sslmode=verify-full&sslrootcert=system")) == "TLSv1.3"


def test_verification_without_an_authority_says_which_file_is_missing(tls: TlsServer, roots: Path) -> None:
    told = refusal(tls.address("sslmode=verify-full"))
    assert "root.crt" in told
    assert "sslrootcert=" in told


def test_a_certificate_for_another_host_is_refused_with_words(tls: TlsServer, roots: Path) -> None:
    told = refusal(tls.address(f"sslmode=verify-full&sslrootcert={roots}", host="127.0.0.1"))
    assert "does not match host name" in told
    assert "another name" in told
    assert use(tls.address(f"sslmode=verify-ca&sslrootcert={roots}", host="127.0.0.1")) == "TLSv1.3"


def test_a_certificate_of_an_unknown_authority_is_refused_with_words(
    tls: TlsServer, roots: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(other)
    told = refusal(tls.address(f"sslmode=verify-full&sslrootcert={other}"))
    assert "certificate" in told
    assert "authority" in told


def test_an_expired_certificate_is_refused_with_words(tls: TlsServer, roots: Path) -> None:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    tls.use(tls.authority.issue_cert("localhost", not_before=yesterday - timedelta(days=9), not_after=yesterday))
    try:
        told = refusal(tls.address(f"sslmode=verify-full&sslrootcert={roots}"))
        assert "expired" in told
        assert "renew" in told
        assert use(tls.address("sslmode=require")) == "TLSv1.3"
    finally:
        tls.use(tls.authority.issue_cert("localhost"))


def test_no_encryption_is_refused_with_words(tls: TlsServer, roots: Path) -> None:
    assert "sslmode=require" in refusal(tls.address("sslmode=disable"))


def test_encryption_that_the_server_has_not_is_said_so(private_server: PrivateServer, home: Path) -> None:
    told = refusal(f"{private_server.url()}?sslmode=require")
    assert "SSL" in told
    assert "sslmode" in told


def test_a_wrong_password_is_said_so_and_not_shown(tls: TlsServer, roots: Path) -> None:
    told = refusal(tls.address("sslmode=require", password="hunter2-wrong"))
    assert "password" in told
    assert "DATABASE_URL" in told
    assert "hunter2" not in told


def test_a_certificate_that_is_wrong_is_tried_once_and_asked_for_its_reason_once(
    tls: TlsServer, roots: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(other)
    proxy = ChaosProxy(("127.0.0.1", tls.port))
    try:
        address = tls.address(f"sslmode=verify-ca&sslrootcert={other}", host="127.0.0.1", port=proxy.port)
        jobnb.configure(database_url=address)
        with pytest.raises(jobnb.DatabaseUnavailable):
            jobnb.submit(int)
        assert proxy.accepted == 2
        with pytest.raises(jobnb.DatabaseUnavailable):
            jobnb.submit(int)
        time.sleep(0.5)  # nothing goes on by itself either
        assert proxy.accepted == 4
    finally:
        proxy.stop()


def test_an_encrypted_connection_that_is_cut_is_made_anew(tls: TlsServer, roots: Path) -> None:
    proxy = ChaosProxy(("127.0.0.1", tls.port))
    try:
        address = tls.address(f"sslmode=verify-full&sslrootcert={roots}", port=proxy.port)
        with jobnb.SyncJobService(address) as service:
            for number in range(5):
                job = service.submit(int, number)
                proxy.cut()
                assert job.result(20) == number
                assert service.get_job(job.job_id).result == {"result": number}
    finally:
        proxy.stop()


def test_neons_address_works_as_its_copy_button_gives_it(
    tls: TlsServer, roots: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = "ep-cool-darkness-a1b2c3d4-pooler.eu-central-1.aws.neon.tech"
    monkeypatch.setenv("PGHOSTADDR", "127.0.0.1")  # libpq looks no name up then
    copied = f"postgresql://{USER}:{PASSWORD}@{host}:{tls.port}/postgres?sslmode=require&channel_binding=require"
    assert use(copied) == "TLSv1.3"
    assert use(f"psql '{copied}'") == "TLSv1.3"
    told = refusal(f"postgresql://{USER}:{PASSWORD}@{host}:{tls.port}/postgres?sslmode=verify-full&sslrootcert={roots}")
    assert "does not match host name" in told
