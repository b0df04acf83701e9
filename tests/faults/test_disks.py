"""Files and disks that fail: full, deleted, damaged; and records that the server can't take."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import audit
import psycopg
import pytest
from chaos_proxy import ChaosProxy, Mode
from children import Child
from load import Load
from private_server import PrivateServer, account
from waiting import until

import jobnb
from jobnb.api import default_service
from jobnb.recorder.spool import spooled_kernels

Start = Callable[..., Child]

# -- the server's disk

FULL = """
CREATE FUNCTION disk_is_full() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'could not extend file "base/5/16384": No space left on device' USING ERRCODE = '53100';
END $$;
CREATE TRIGGER disk_is_full BEFORE INSERT OR UPDATE ON jobs EXECUTE FUNCTION disk_is_full();
"""


@contextlib.contextmanager
def full_disk(server: PrivateServer, database: str) -> Iterator[Callable[[], None]]:
    """A disk that is full as soon as this begins; what is given empties it.

    A real one (a small tmpfs with the table on it) where this process may mount one; else a trigger that says the same.
    """
    folder = Path(tempfile.mkdtemp(prefix="jobnb-disk-"))
    mounted = (
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], capture_output=True, check=False
        ).returncode
        == 0
        if shutil.which("mount")
        else False
    )
    try:
        if mounted:
            space = folder / "space"
            space.mkdir(mode=0o700)
            account().give(space)
            name = f"small_{database}"
            server.ask(f"CREATE TABLESPACE {name} LOCATION '{space}'")
            for relation in ("TABLE jobs", "INDEX jobs_pkey"):
                server.ask(f"ALTER {relation} SET TABLESPACE {name}", database)
            filler = folder / "filler"
            with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
                while file.write(b"\0" * 4096) == 4096:
                    pass
            yield filler.unlink
            server.ask(f"ALTER DATABASE {database} WITH ALLOW_CONNECTIONS true")
            for relation in ("TABLE jobs", "INDEX jobs_pkey"):
                server.ask(f"ALTER {relation} SET TABLESPACE pg_default", database)
            server.ask(f"DROP TABLESPACE {name}")
        else:
            server.ask(FULL, database)
            yield lambda: server.ask("DROP TRIGGER disk_is_full ON jobs", database)
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=False)
        shutil.rmtree(folder, ignore_errors=True)


def test_a_full_disk_of_the_server_is_waited_for(
    through_proxy: str, private_server: PrivateServer, audited: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "jobnb"), full_disk(private_server, audited) as make_room:
        load = Load(300).start()
        load.wait_for(300)
        until(lambda: default_service().runtime.recorder.outage)
        until(lambda: "No space left on device" in caplog.text)
        time.sleep(1.5)  # long enough for a batch to be suspected, were it not for the server's own words
        make_room()
        load.finish()
        report = audit.report(through_proxy)
        assert (report.is_clean, report.done) == (True, 300), report
        with psycopg.connect(through_proxy) as connection:
            whole = connection.execute("SELECT count(*) FROM jobs WHERE result_error IS NULL AND source IS NOT NULL")
            assert whole.fetchone() == (300,)
    assert len(caplog.records) == 2, caplog.text
    assert not default_service().runtime.recorder.dead_letters.exists()


# -- the spool's disk

SMALL_FILES = """
import resource, sys, time, jobnb, jobnb.api
jobnb.submit(int).result()
jobnb.api.default_service().runtime.recorder.settle(60)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
print("ready", flush=True)
sys.stdin.readline()
def work(number):
    time.sleep(0.001)
    return "x" * 100 + str(number)
jobs = [jobnb.submit(work, number) for number in range(200)]
assert [job.result(30) for job in jobs] == ["x" * 100 + str(number) for number in range(200)]
print("ran", flush=True)
sys.stdin.readline()
jobnb.api.default_service().runtime.recorder.settle(60)
print("stored", flush=True)
"""


def test_a_full_disk_under_the_spool_stops_no_job_and_is_told_once(
    private_server: PrivateServer, audited: str, proxy: ChaosProxy, home: Path, child: Start
) -> None:
    process = child(SMALL_FILES, JOBNB_HOME=str(home), DATABASE_URL=private_server.url(audited, port=proxy.port))
    assert process.line() == "ready"
    proxy.mode = Mode.REFUSE
    proxy.cut()
    process.tell()
    assert process.line() == "ran"
    proxy.mode = Mode.PASS
    process.tell()
    assert process.line() == "stored"
    process.end()
    told = process.errors.read_text()
    assert told.count("can't write the spool") == 1
    assert "jobs go on" in told
    report = audit.report(private_server.url(audited))
    assert (report.is_clean, report.done) == (True, 201), report


def test_a_spool_that_somebody_deleted_is_there_again_with_all_it_held(
    private_server: PrivateServer, audited: str, proxy: ChaosProxy, home: Path, child: Start,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    url = private_server.url(audited, port=proxy.port)
    script = """
import sys, threading, jobnb, jobnb.api
jobnb.submit(int).result()
jobnb.api.default_service().runtime.recorder.settle(60)
print("ready", flush=True)
for line in sys.stdin:
    jobs = jobnb.map(int, range(50))
    jobs.results(30)
    print("ran", flush=True)
    running = jobnb.submit(threading.Event().wait)
"""
    process = child(script, JOBNB_HOME=str(home), DATABASE_URL=url)
    assert process.line() == "ready"
    proxy.mode = Mode.REFUSE
    proxy.cut()
    process.tell()
    assert process.line() == "ran"
    (folder,) = (home / "spool").iterdir()
    held = sum(path.stat().st_size for path in folder.glob("*.jsonl"))
    assert held > 1000
    shutil.rmtree(home / "spool")
    until(lambda: folder.exists() and sum(path.stat().st_size for path in folder.glob("*.jsonl")) >= held)
    process.tell()
    assert process.line() == "ran"
    process.kill()
    assert "was deleted" in process.errors.read_text()
    proxy.mode = Mode.PASS
    monkeypatch.setenv("DATABASE_URL", url)
    jobnb.configure()
    jobnb.jobs()
    report = audit.report(private_server.url(audited))
    assert (report.rows - report.lost, report.done) == (101, 101), report
    assert report.is_clean


PENDING = """
import sys, threading, jobnb, jobnb.api
jobnb.submit(int).result()
jobnb.api.default_service().runtime.recorder.settle(60)
print("ready", flush=True)
sys.stdin.readline()
jobs = [jobnb.submit(str, number) for number in range(100)]
for job in jobs: job.result(30)
print("ran", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def orphaned(
    private_server: PrivateServer, audited: str, proxy: ChaosProxy, home: Path, child: Start,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Path]:  # fmt: skip
    """The spool of a killed process with a hundred jobs that the database does not know."""
    url = private_server.url(audited, port=proxy.port)
    process = child(PENDING, JOBNB_HOME=str(home), DATABASE_URL=url)
    assert process.line() == "ready"
    proxy.mode = Mode.REFUSE
    proxy.cut()
    process.tell()
    assert process.line() == "ran"
    process.kill()
    proxy.mode = Mode.PASS
    monkeypatch.setenv("DATABASE_URL", url)
    jobnb.configure()
    yield max(home.glob("spool/*/*.jsonl"), key=lambda path: path.stat().st_size)
    default_service().runtime.close(1.0)


def damage_bytes(spool: Path) -> None:
    data = bytearray(spool.read_bytes())
    data[len(data) // 2] ^= 0xFF
    spool.write_bytes(bytes(data))


def cut_off(spool: Path) -> None:
    with spool.open("r+b") as file:
        file.truncate(spool.stat().st_size * 3 // 4)


def overwrite_with_zeros(spool: Path) -> None:
    """As some file systems leave the end of a file after a power cut."""
    with spool.open("r+b") as file:
        file.seek(spool.stat().st_size * 3 // 4)
        file.write(b"\0" * 2000)


@pytest.mark.parametrize("damage", [damage_bytes, cut_off, overwrite_with_zeros])
def test_a_damaged_spool_gives_what_is_whole_and_a_copy_of_it_is_kept(
    damage: Callable[[Path], None], orphaned: Path, direct_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    damage(orphaned)
    with caplog.at_level(logging.WARNING, "jobnb"):
        jobnb.jobs()
    report = audit.report(direct_url)
    assert 40 <= report.done <= 101, report
    assert report.is_clean, report
    assert not orphaned.exists()
    if damage is not cut_off or "damaged" in caplog.text:
        assert orphaned.with_suffix(".damaged").exists()
        assert "damaged" in caplog.text


def test_spools_of_nonsense_harm_nobody(orphaned: Path, direct_url: str) -> None:
    kernel = orphaned.name.split(".")[0]
    for number, content in enumerate([b"", b"\0" * 100_000, b"not ours\n" * 1000, os.urandom(50_000)]):
        orphaned.with_name(f"{kernel}.{number + 5}.jsonl").write_bytes(content)
    jobnb.jobs()
    assert jobnb.submit(int, 3).result() == 3
    assert not spooled_kernels(orphaned.parent) - {default_service().runtime.kernel_id}


def test_a_spool_that_is_a_symbolic_link_is_left_alone_and_told_once(
    orphaned: Path, direct_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    target = tmp_path / "somebody-elses"
    orphaned.rename(target)
    orphaned.symlink_to(target)
    before = target.read_bytes()
    with caplog.at_level(logging.WARNING, "jobnb"):
        for _ in range(3):
            jobnb.jobs()
            time.sleep(1)
    assert caplog.text.count("left alone") == 1
    assert target.read_bytes() == before
    assert audit.report(direct_url).done < 20


# -- records that the server can't take

KILLER = """
CREATE FUNCTION kill_the_backend() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_terminate_backend(pg_backend_pid());
    PERFORM pg_sleep(1);
    RETURN NEW;
END $$;
CREATE TRIGGER killer BEFORE INSERT OR UPDATE ON jobs FOR EACH ROW WHEN (NEW.name = 'poison')
    EXECUTE FUNCTION kill_the_backend();
"""


def test_a_record_that_kills_its_own_connection_does_not_keep_the_others_back(
    through_proxy: str, private_server: PrivateServer, audited: str, caplog: pytest.LogCaptureFixture
) -> None:
    private_server.ask(KILLER, audited)
    with psycopg.connect(through_proxy) as connection:
        connection.execute("LOCK TABLE jobs IN EXCLUSIVE MODE")  # all of them in one batch
        before = [jobnb.submit(int, number, name="good") for number in range(40)]
        poison = jobnb.submit(int, 7, name="poison")
        after = [jobnb.submit(int, number, name="good") for number in range(40)]
        assert poison.result(10) == 7
        assert [job.result(10) for job in before + after] == [*range(40), *range(40)]
    with caplog.at_level(logging.WARNING, "jobnb"):
        default_service().runtime.recorder.settle(60)
    with psycopg.connect(through_proxy) as connection:
        rows = connection.execute("SELECT name, status::text, count(*) FROM jobs GROUP BY 1, 2").fetchall()
    assert rows == [("good", "done", 80)]
    (letter,) = default_service().runtime.recorder.dead_letters.read_text().splitlines()
    assert json.loads(letter)["job_id"] == str(poison.job_id)
    assert "refuses its record" in repr(poison)
    assert audit.report(through_proxy).is_clean


def test_only_what_the_server_refuses_is_left_out_of_a_record(
    through_proxy: str, private_server: PrivateServer, audited: str
) -> None:
    private_server.ask("ALTER TABLE jobs ADD CHECK (octet_length(result::text) < 1000)", audited)
    jobs = jobnb.map(lambda number: "x" * (2000 if number == 3 else 10), range(50))
    jobs.results(10)
    default_service().runtime.recorder.settle(60)
    report = audit.report(through_proxy)
    assert (report.is_clean, report.done) == (True, 50), report
    row = jobs[3].refresh()
    assert row.status == "done"
    assert "refused the value" in (row.result_error or "")
    with pytest.raises(jobnb.ResultNotStored):
        jobnb.handle.JobHandle(default_service().runtime, str(row.job_id), None).result()  # type: ignore[attr-defined]
    assert jobs[2].refresh().result_error is None


def test_a_home_that_can_not_be_written_is_told_at_the_first_use(direct_url: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(jobnb.ConfigurationError, match="JOBNB_HOME"):
        jobnb.SyncJobService(settings=jobnb.settings.Settings(direct_url, home=tmp_path / "file")).submit(int)  # type: ignore[attr-defined]


def test_a_home_that_vanishes_for_good_is_told_once_and_jobs_go_on(
    connected: str, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert jobnb.submit(int, 1).result() == 1
    with caplog.at_level(logging.WARNING, "jobnb"):
        shutil.rmtree(home)
        home.write_text("a file in its place")
        assert jobnb.map(int, range(20)).results(10) == list(range(20))
        until(lambda: "this process's lock" in caplog.text)
        time.sleep(1.2)  # and again, and again
        assert jobnb.submit(int, 2).result() == 2
        default_service().runtime.recorder.settle(60)
    assert caplog.text.count("this process's lock") == 1
    assert caplog.text.count("can't write the spool") <= 1
    assert "Traceback" not in caplog.text
    assert audit.report(connected).done == 22
    home.unlink()
