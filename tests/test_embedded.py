"""The embedded server: real processes start it, share it, lose it and leave it."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import Connection
from waiting import in_time, not_slow, until

import jobnb
from jobnb.db import isolation, launcher
from jobnb.db.database import Database
from jobnb.db.embedded import EmbeddedServer, embedded_server
from jobnb.db.folders import ROOT_AREA, SOCKET_NAME, Account, Folders, locate
from jobnb.db.postmaster import find
from jobnb.db.programs import find_programs
from jobnb.errors import ConfigurationError, DatabaseUnavailable
from jobnb.locks import lock_for_child
from jobnb.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="unix sockets and signals")

MODULES = os.pathsep.join([str(Path(jobnb.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])

CLIENT = """
import sys
from pathlib import Path
from jobnb.db.embedded import embedded_server
server = embedded_server(Path(sys.argv[1]))
print("up", flush=True)
sys.stdin.readline()
server.ensure_running()
print(server.status().pid, flush=True)
sys.stdin.readline()
server.release()
print("left", flush=True)
"""


def spawn(home: Path, code: str = CLIENT, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, str(home), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": MODULES, **environment},
    )


def say(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def hear(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def clean(home: Path) -> None:
    """Stop what runs for this home, and remove what root keeps outside of it."""
    folders = locate(home)
    launcher.stop(folders)
    if ROOT_AREA in folders.data.parents:
        shutil.rmtree(folders.data.parent, ignore_errors=True)


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Path]:
    """A home that does not exist yet."""
    home = tmp_path / "fresh"
    yield home
    clean(home)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with a cluster, for tests that leave it as usable as they found it."""
    home = tmp_path_factory.mktemp("embedded") / "home"
    server = EmbeddedServer(home)
    server.ensure_running()
    server.release()
    yield home
    clean(home)


@pytest.fixture
def joined(shared: Path) -> Iterator[EmbeddedServer]:
    server = EmbeddedServer(shared)
    server.ensure_running()
    yield server
    server.release()
    clean_pid = server.status().pid
    assert clean_pid is None, "the test left a server running"


def ask(server: EmbeddedServer, statement: str) -> object:
    with psycopg.connect(**server.conninfo()) as connection:
        row = connection.execute(statement).fetchone()  # type: ignore[call-overload]
    return row[0]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def server_pid(server: EmbeddedServer) -> int:
    pid = server.status().pid
    assert pid is not None
    return pid


def test_an_object_that_was_only_made_touches_nothing(fresh: Path) -> None:
    server = EmbeddedServer(fresh)
    assert server.status().pid is None
    assert server.status().version is None
    server.release()
    assert not fresh.exists()


def test_all_folders_are_private(joined: EmbeddedServer) -> None:
    folders = locate(joined.home)
    sockets = Path(joined.conninfo()["host"])
    assert [mode(path) for path in (joined.home, folders.base, folders.data, sockets)] == [0o700] * 4
    assert mode(sockets / SOCKET_NAME) == 0o700
    assert [mode(path) & 0o077 for path in folders.base.iterdir() if not path.is_symlink()].count(0) >= 3


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("listen_addresses", ""),
        ("timezone", "UTC"),
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("server_encoding", "UTF8"),
        ("unix_socket_permissions", "0700"),
        ("max_connections", "100"),
    ],
)
def test_the_server_is_set_up_as_promised(joined: EmbeddedServer, setting: str, value: str) -> None:
    assert ask(joined, f"SELECT current_setting('{setting}')") == value


def test_the_database_and_the_role_are_jobnb(joined: EmbeddedServer) -> None:
    assert ask(joined, "SELECT current_user || ' ' || current_database()") == "jobnb jobnb"


def test_another_unix_user_gets_in_neither_by_folder_nor_by_name(joined: EmbeddedServer) -> None:
    host = joined.conninfo()["host"]
    if os.geteuid() != 0:
        assert mode(Path(host)) == 0o700
        return
    import pwd

    stranger = pwd.getpwnam("nobody")
    command = [str(find_programs() / "psql"), f"host='{host}' user=jobnb dbname=jobnb", "-Atc", "SELECT 1"]
    refused = subprocess.run(
        command,
        user=stranger.pw_uid,
        group=stranger.pw_gid,
        extra_groups=[],
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode != 0
    assert "Permission denied" in refused.stderr


def test_joining_again_costs_well_under_a_millisecond(joined: EmbeddedServer) -> None:
    costs = []
    for _ in range(200):
        before = time.perf_counter()
        joined.ensure_running()
        costs.append(time.perf_counter() - before)
    not_slow(sorted(costs)[100], 0.0005)


def test_the_last_client_stops_the_server_and_the_data_stay(shared: Path) -> None:
    server = EmbeddedServer(shared)
    server.ensure_running()
    with psycopg.connect(**server.conninfo()) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS n")
    server.release()
    server.release()
    assert server.status().pid is None
    server.ensure_running()
    assert ask(server, "SELECT n FROM kept") == 42
    server.release()


def test_six_processes_that_start_first_together_share_one_server(fresh: Path) -> None:
    clients = [spawn(fresh) for _ in range(6)]
    try:
        assert [hear(client) for client in clients] == ["up"] * 6
        for client in clients:
            say(client)
        pids = {hear(client) for client in clients}
        assert len(pids) == 1
        for client in clients[:5]:
            say(client)
            assert hear(client) == "left"
        assert str(EmbeddedServer(fresh).status().pid) in pids
        say(clients[5])
        assert hear(clients[5]) == "left"
        assert EmbeddedServer(fresh).status().pid is None
    finally:
        for client in clients:
            end(client)


@pytest.mark.parametrize("what", ["area", "socket folder"])
def test_a_folder_is_the_account_s_from_the_moment_another_process_can_see_it(
    fresh: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    give = Account.give
    others: list[Folders] = []

    def make(folders: Folders) -> None:
        folders.make()
        folders.make_area()
        if what == "socket folder":
            folders.make_socket_folder()

    def give_while_another_process_comes(account: Account, path: Path) -> None:
        if not others and (what in path.name or path.parent == ROOT_AREA or "run" in path.name):
            others.append(locate(fresh))
            make(others[0])
        give(account, path)

    monkeypatch.setattr(Account, "give", give_while_another_process_comes)
    folders = locate(fresh)
    make(folders)
    assert others or (what == "area" and folders.data.parent == folders.base)
    assert not list(folders.data.parent.parent.glob(f"{folders.data.parent.name}.new-*"))
    assert folders.data.parent.stat().st_uid == folders.account.uid


@pytest.mark.parametrize("gift", [1, 2, 3])
def test_a_process_that_was_killed_while_giving_a_folder_away_harms_nobody(fresh: Path, gift: int) -> None:
    killed = f"""
import os
from jobnb.db.folders import Account
give, gifts = Account.give, []
def be_killed(account, path):
    gifts.append(path)
    if len(gifts) == {gift}:
        os.kill(os.getpid(), 9)
    give(account, path)
Account.give = be_killed
"""
    client = spawn(fresh, killed + CLIENT)
    say(client)
    assert client.wait(30) == -signal.SIGKILL
    client.communicate()
    server = EmbeddedServer(fresh)
    server.ensure_running()
    assert ask(server, "SELECT 1") == 1
    server.release()
    area = locate(fresh).data.parent
    assert not [*area.parent.glob(f"{area.name}.new-*"), *area.glob("*.new-*")]


SLOW_GIVER = """
import time
from jobnb.db.folders import Account
give = Account.give
def slowly(account, path):
    time.sleep(0.2)
    give(account, path)
Account.give = slowly
"""


def test_processes_that_are_slow_to_give_folders_away_still_start_one_server(fresh: Path) -> None:
    clients = [spawn(fresh, SLOW_GIVER + CLIENT) for _ in range(3)]
    try:
        assert [hear(client) for client in clients] == ["up"] * 3
        for client in clients:
            say(client)
        pids = {hear(client) for client in clients}
        assert len(pids) == 1
        assert pids != {""}
        for client in clients:
            say(client)
        assert [hear(client) for client in clients] == ["left"] * 3
    finally:
        for client in clients:
            end(client)


def test_a_killed_client_counts_no_more(shared: Path, joined: EmbeddedServer) -> None:
    client = spawn(shared)
    hear(client)
    say(client)
    assert hear(client) == str(joined.status().pid)
    end(client)
    joined.release()
    assert joined.status().pid is None


def test_a_killed_server_is_started_again(joined: EmbeddedServer) -> None:
    first = server_pid(joined)
    os.kill(first, signal.SIGKILL)
    until(lambda: joined.status().pid is None)
    joined.ensure_running()
    assert server_pid(joined) != first
    assert ask(joined, "SELECT 1") == 1


def test_committed_rows_survive_a_killed_server(joined: EmbeddedServer) -> None:
    with psycopg.connect(**joined.conninfo()) as connection:
        connection.execute("CREATE TABLE durable AS SELECT 7 AS n")
    os.kill(server_pid(joined), signal.SIGKILL)
    until(lambda: joined.status().pid is None)
    joined.ensure_running()
    assert ask(joined, "SELECT n FROM durable") == 7


def test_an_interrupt_of_the_client_s_process_group_leaves_the_server_alone(shared: Path) -> None:
    code = CLIENT.replace("import sys", "import sys, os, signal\nos.setpgid(0, 0)\nsignal.signal(2, signal.SIG_IGN)", 1)
    client = spawn(shared, code)
    try:
        hear(client)
        say(client)
        pid = int(hear(client))
        assert os.getpgid(pid) != os.getpgid(client.pid)
        os.killpg(os.getpgid(client.pid), signal.SIGINT)
        say(client)
        assert hear(client) == "left"
    finally:
        end(client)


def test_a_forked_child_neither_is_a_client_nor_stops_the_server(joined: EmbeddedServer) -> None:
    code = """
import os, sys
from pathlib import Path
from jobnb.db.embedded import embedded_server
server = embedded_server(Path(sys.argv[1]))
server.ensure_running()
child = os.fork()
if child == 0:
    server.release()
    os._exit(0)
os.waitpid(child, 0)
print(server.status().pid, flush=True)
child = os.fork()
if child == 0:
    server.ensure_running()
    server.release()
    os._exit(0)
os.waitpid(child, 0)
print(server.status().pid, flush=True)
sys.stdin.readline()
"""
    home = joined.home
    joined.release()
    client = spawn(home, code)
    try:
        first, second = hear(client), hear(client)
        assert first == second != "None"
    finally:
        end(client)
    launcher.stop(locate(home))


def test_a_stale_pid_file_harms_nobody(shared: Path) -> None:
    victim = subprocess.Popen(["sleep", "300"])
    server = EmbeddedServer(shared)
    try:
        (locate(shared).data / "postmaster.pid").write_text(f"{victim.pid}\n{locate(shared).data}\n0\n5432\n\n\n")
        assert server.status().pid is None
        server.ensure_running()
        assert ask(server, "SELECT 1") == 1
        server.release()
        assert victim.poll() is None
    finally:
        end(victim)
        server.release()


@pytest.mark.parametrize(
    "name", ["we ird", "it's", 'quo"te', "$(touch INJ)", "back\\slash", "per%20cent?x=1", "数据 ü"]
)
def test_a_home_of_any_name_works(name: str) -> None:
    top = Path(tempfile.mkdtemp())
    top.chmod(0o755)  # so that root's server can live here too
    home = top / name
    home.mkdir(mode=0o755)
    server = EmbeddedServer(home)
    try:
        server.ensure_running()
        assert ask(server, "SELECT 1") == 1
        assert str(server.status().data).startswith(str(home))
        server.release()
        assert not list(top.rglob("INJ"))
        assert not Path("INJ").exists()
    finally:
        clean(home)
        shutil.rmtree(top)


def test_a_long_home_gets_a_private_socket_folder_elsewhere() -> None:
    top = Path(tempfile.mkdtemp())
    top.chmod(0o755)
    home = top / ("a-rather-long-folder-name-" * 5)
    home.mkdir(mode=0o755)
    server = EmbeddedServer(home)
    sockets = None
    try:
        server.ensure_running()
        sockets = Path(server.conninfo()["host"])
        assert ask(server, "SELECT 1") == 1
        assert home not in sockets.parents
        assert mode(sockets) == 0o700
        server.release()
    finally:
        clean(home)
        shutil.rmtree(top)
        if sockets is not None:
            shutil.rmtree(sockets, ignore_errors=True)


@pytest.mark.parametrize("trap", ["link", "open"])
def test_a_socket_folder_that_others_prepared_is_refused(trap: str) -> None:
    top = Path(tempfile.mkdtemp())
    top.chmod(0o755)
    home = top / ("x" * 120)
    home.mkdir(mode=0o755)
    folders = locate(home)
    sockets = next(path for path in folders._socket_folders() if len(str(path)) < 80)
    try:
        if trap == "link":
            sockets.symlink_to(top)
        else:
            sockets.mkdir(mode=0o755)
            folders.account.give(sockets)
        with pytest.raises(ConfigurationError, match=r"not a folder|open to other"):
            folders.make_socket_folder()
    finally:
        sockets.unlink() if sockets.is_symlink() else shutil.rmtree(sockets)
        shutil.rmtree(top)


def test_a_crash_in_the_middle_of_the_first_start_leaves_no_half_cluster(fresh: Path) -> None:
    client = spawn(fresh)
    hear(client)
    say(client)
    area = locate(fresh).data.parent
    until(lambda: area.exists() and any(area.glob("data.new*")))
    end(client)
    assert not locate(fresh).data.exists()
    server = EmbeddedServer(fresh)
    server.ensure_running()
    assert ask(server, "SELECT 1") == 1
    server.release()

    def a_start_leaves_nothing_behind() -> bool:
        # the killed client's initdb may outlive it for a moment
        server.ensure_running()
        server.release()
        return not list(area.glob("data.new*"))

    until(a_start_leaves_nothing_behind)


def test_data_of_another_postgresql_version_are_refused_with_words(shared: Path) -> None:
    version = locate(shared).data / "PG_VERSION"
    version.write_text("15\n")
    try:
        with pytest.raises(ConfigurationError, match=r"PostgreSQL 15.*DATABASE_URL"):
            EmbeddedServer(shared).ensure_running()
    finally:
        version.write_text("18\n")


def test_a_file_in_place_of_the_home_is_refused_with_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"DATABASE_URL"):
        EmbeddedServer(tmp_path / "file").ensure_running()
    with pytest.raises(ConfigurationError, match=r"DATABASE_URL"):
        EmbeddedServer(tmp_path / "file" / "below").ensure_running()


def test_a_home_that_others_may_write_in_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(ConfigurationError, match="open to other users"):
        EmbeddedServer(tmp_path).ensure_running()


def test_a_server_that_can_t_start_is_reported_at_once_with_its_log(shared: Path) -> None:
    settings = locate(shared).data / "postgresql.auto.conf"
    kept = settings.read_text()
    settings.write_text(kept + "no_such_setting = 1\n")
    before = time.monotonic()
    try:
        with pytest.raises(DatabaseUnavailable, match="no_such_setting"):
            EmbeddedServer(shared).ensure_running()
        in_time(before, 10)
    finally:
        settings.write_text(kept)


def test_folders_above_the_home_keep_their_modes(tmp_path: Path) -> None:
    above = tmp_path / "above"
    above.mkdir(mode=0o750)
    before = [mode(path) for path in (above, *above.parents)]
    server = EmbeddedServer(above / "home")
    try:
        server.ensure_running()
        server.release()
        assert [mode(path) for path in (above, *above.parents)] == before
    finally:
        clean(above / "home")


def test_a_process_has_one_object_for_a_home_even_after_a_reload(tmp_path: Path) -> None:
    import importlib

    from jobnb.db import embedded

    first = embedded_server(tmp_path)
    assert importlib.reload(embedded).embedded_server(tmp_path) is first


# -- a server that others use is never restarted by somebody who comes along


def connections(server: EmbeddedServer, number: int) -> list[psycopg.Connection]:
    return [psycopg.connect(**server.conninfo()) for _ in range(number)]


def join_from_another_process(home: Path, **environment: str) -> str:
    """The process id of the server that a new client finds or starts; the client is gone when this returns.

    It started no watcher, which would stop the server sooner or later.
    """
    client = spawn(home, CLIENT.replace("import sys", "import sys\nsys.executable = ''", 1), **environment)
    try:
        hear(client)
        say(client)
        return hear(client)
    finally:
        end(client)


def test_a_server_without_a_free_connection_is_not_restarted(joined: EmbeddedServer) -> None:
    first = server_pid(joined)
    with contextlib.ExitStack() as stack:
        taken = [stack.enter_context(connection) for connection in connections(joined, 100)]
        with pytest.raises(psycopg.OperationalError, match="too many clients"):
            connections(joined, 1)
        assert join_from_another_process(joined.home) == str(first)
        assert {connection.execute("SELECT 1").fetchone() for connection in taken} == {(1,)}


def test_a_server_that_is_still_starting_is_waited_for(shared: Path) -> None:
    data = locate(shared).data
    # it asks this command for more to recover, and only then begins to work
    settings = data / "postgresql.auto.conf"
    kept = settings.read_text()
    settings.write_text(kept + "restore_command = 'sleep 1; false'\n")
    (data / "recovery.signal").touch()
    locate(shared).account.give(data / "recovery.signal")
    starter = spawn(shared)
    server = EmbeddedServer(shared)
    try:
        hear(starter)
        say(starter)
        until(lambda: server.status().pid is not None)
        first = server_pid(server)
        end(starter)
        server.ensure_running()
        assert server_pid(server) == first
        assert ask(server, "SELECT 1") == 1
    finally:
        end(starter)
        server.release()
        settings.write_text(kept)
        (data / "recovery.signal").unlink(missing_ok=True)


def test_a_server_that_waits_for_its_clients_to_leave_makes_room(joined: EmbeddedServer) -> None:
    first = server_pid(joined)
    (connection,) = connections(joined, 1)
    with connection:
        os.kill(first, signal.SIGTERM)
        until(lambda: (found := find(locate(joined.home))) is not None and found.status == "stopping")
        joined.ensure_running()
    assert server_pid(joined) != first
    assert ask(joined, "SELECT 1") == 1


def test_a_frozen_server_is_left_to_those_who_froze_it(joined: EmbeddedServer) -> None:
    first = server_pid(joined)
    os.kill(first, signal.SIGSTOP)
    try:
        assert join_from_another_process(joined.home) == str(first)
    finally:
        os.kill(first, signal.SIGCONT)
    assert server_pid(joined) == first
    assert ask(joined, "SELECT 1") == 1


@pytest.mark.parametrize("variable", ["TMPDIR", "XDG_RUNTIME_DIR"])
def test_clients_with_different_temporary_folders_share_one_server(tmp_path: Path, variable: str) -> None:
    top = Path(tempfile.mkdtemp())
    top.chmod(0o755)
    home = top / ("a-rather-long-folder-name-" * 5)
    home.mkdir(mode=0o755)
    places = [top / "one", top / "two"]
    for place in places:
        place.mkdir(mode=0o711)
    first, second = (spawn(home, **{variable: str(place)}) for place in places)
    try:
        pids = []
        for client in (first, second):
            hear(client)
            say(client)
            pids.append(hear(client))
        assert pids[0] == pids[1] != ""
        for client in (first, second):
            say(client)
            assert hear(client) == "left"
        assert EmbeddedServer(home).status().pid is None
    finally:
        end(first)
        end(second)
        clean(home)
        shutil.rmtree(top)


def test_a_socket_folder_that_was_opened_to_others_is_not_joined(joined: EmbeddedServer) -> None:
    sockets = Path(joined.conninfo()["host"])
    sockets.chmod(0o755)
    try:
        with pytest.raises(ConfigurationError, match="open to other users"):
            EmbeddedServer(joined.home)._join()
    finally:
        sockets.chmod(0o700)


def test_a_socket_that_somebody_removed_comes_back(joined: EmbeddedServer) -> None:
    (Path(joined.conninfo()["host"]) / SOCKET_NAME).unlink()
    joined.ensure_running()
    assert ask(joined, "SELECT 1") == 1


def test_a_socket_folder_that_somebody_removed_comes_back(joined: EmbeddedServer) -> None:
    shutil.rmtree(joined.conninfo()["host"])
    joined.ensure_running()
    assert ask(joined, "SELECT 1") == 1


def test_a_server_that_another_client_restarted_elsewhere_is_found(joined: EmbeddedServer) -> None:
    other = Path(tempfile.mkdtemp())
    other.chmod(0o711)
    os.kill(server_pid(joined), signal.SIGKILL)
    until(lambda: joined.status().pid is None)
    elsewhere = "\nfrom jobnb.db.folders import Folders\nFolders._socket_folders = lambda self: [Path(sys.argv[2])]\n"
    code = CLIENT.replace("\nserver", elsewhere + "server", 1)
    client = spawn(joined.home, code, str(other / "run"))
    try:
        hear(client)
        say(client)
        first = hear(client)
        joined.ensure_running()
        assert str(server_pid(joined)) == first
        assert ask(joined, "SELECT 1") == 1
        assert joined.conninfo()["host"] == str(other / "run")
    finally:
        end(client)
        joined.release()
        shutil.rmtree(other)


def test_a_server_killed_under_several_clients_serves_them_all_again(shared: Path) -> None:
    code = CLIENT.replace("sys.stdin.readline()\nserver.release()", HOLD + "sys.stdin.readline()\nserver.release()")
    clients = [spawn(shared, code) for _ in range(3)]
    try:
        for client in clients:
            hear(client)
            say(client)
        (first,) = {hear(client) for client in clients}
        assert [hear(client) for client in clients] == ["connected"] * 3
        os.kill(int(first), signal.SIGKILL)
        until(lambda: EmbeddedServer(shared).status().pid is None)
        for client in clients:
            say(client)
        (second,) = {hear(client) for client in clients}
        assert second != first
        for client in clients:
            say(client)
            assert hear(client) == "left"
        assert EmbeddedServer(shared).status().pid is None
    finally:
        for client in clients:
            end(client)


HOLD = """
import psycopg
connection = psycopg.connect(**server.conninfo())
connection.execute("SELECT 1")
print("connected", flush=True)
sys.stdin.readline()
server.ensure_running()
with psycopg.connect(**server.conninfo()) as another:
    another.execute("SELECT 1")
print(server.status().pid, flush=True)
"""


def test_a_server_whose_last_client_was_killed_is_adopted_and_stopped_by_the_next(shared: Path) -> None:
    first = join_from_another_process(shared)
    server = EmbeddedServer(shared)
    assert str(server_pid(server)) == first
    server.ensure_running()
    assert str(server_pid(server)) == first
    server.release()
    assert server.status().pid is None


def test_socket_that_children_of_a_killed_server_still_hold_is_not_taken_for_a_server(shared: Path) -> None:
    folders = locate(shared)
    folders.make_socket_folder()
    note = folders.data / "postmaster.pid"
    note.write_text(f"999999999\n{folders.data}\n0\n5432\n{folders.data.parent / 'run'}\n\n0\nready\n")
    orphan = spawn(shared, ORPHAN, str(folders.base / "server.lock"), str(folders.data.parent / "run" / SOCKET_NAME))
    server = EmbeddedServer(shared)
    try:
        assert hear(orphan) == "holding"
        server.ensure_running()
        assert server.status().pid is not None
        assert ask(server, "SELECT 1") == 1
    finally:
        end(orphan)
        server.release()


ORPHAN = """
import fcntl, os, socket, sys, time
lock = os.open(sys.argv[2], os.O_RDWR | os.O_CREAT)
fcntl.flock(lock, fcntl.LOCK_EX)
listening = socket.socket(socket.AF_UNIX)
listening.bind(sys.argv[3])
listening.listen()
print("holding", flush=True)
time.sleep(1)
"""


def test_data_in_use_on_another_machine_are_left_alone(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher, "LEAVING_SECONDS", 0.3)
    place = locate(shared).base / "server.lock"
    descriptor = lock_once_free(place)
    try:
        note = locate(shared).data / "postmaster.pid"
        note.write_text(f"1\n{locate(shared).data}\n0\n5432\n/nowhere\n\n0\nready\n")
        place.write_text("node17")
        with pytest.raises(ConfigurationError, match=r"runs on node17.*JOBNB_HOME"):
            EmbeddedServer(shared).ensure_running()
        assert note.exists()
        place.write_text(socket.gethostname())
        with pytest.raises(DatabaseUnavailable, match="do not end"):
            EmbeddedServer(shared).ensure_running()
    finally:
        os.close(descriptor)
    server = EmbeddedServer(shared)
    server.ensure_running()
    server.release()


def test_a_running_server_keeps_its_data_locked_and_a_killed_one_does_not(joined: EmbeddedServer) -> None:
    place = locate(joined.home).base / "server.lock"
    assert lock_for_child(place) is None
    os.kill(server_pid(joined), signal.SIGKILL)
    os.close(lock_once_free(place))


def lock_once_free(place: Path) -> int:
    descriptors: list[int] = []

    def is_taken() -> bool:
        if (descriptor := lock_for_child(place)) is not None:
            descriptors.append(descriptor)
        return bool(descriptors)

    until(is_taken)
    return descriptors[0]


# -- what stands in the environment about other servers


MISLEADING = {
    "PGHOST": "elsewhere.example", "PGHOSTADDR": "192.0.2.1", "PGPORT": "6000", "PGUSER": "bob", "PGDATABASE": "bob",
    "PGPASSWORD": "secret", "PGOPTIONS": "-c no.such=1 -c nonsense", "PGAPPNAME": "other", "PGTZ": "America/New_York",
    "PGDATESTYLE": "German", "PGGEQO": "off", "PGCLIENTENCODING": "LATIN1", "PGTARGETSESSIONATTRS": "standby",
    "PGREQUIREAUTH": "scram-sha-256", "PGREQUIREPEER": "bob", "PGCHANNELBINDING": "require", "PGSSLMODE": "verify-full",
    "PGSSLNEGOTIATION": "direct", "PGSSLROOTCERT": "system", "PGSSLCERTMODE": "require", "PGGSSENCMODE": "require",
    "PGSSLMINPROTOCOLVERSION": "nonsense", "PGSSLMAXPROTOCOLVERSION": "TLSv1", "PGMINPROTOCOLVERSION": "nonsense",
    "PGMAXPROTOCOLVERSION": "nonsense", "PGLOADBALANCEHOSTS": "nonsense", "PGCONNECT_TIMEOUT": "nonsense",
    "PGSERVICEFILE": "/nowhere", "PGSYSCONFDIR": "/nowhere", "PGDATA": "/nowhere", "LC_ALL": "xx_XX",
    "LC_MESSAGES": "xx_XX", "LANG": "xx_XX",
}  # fmt: skip


def test_the_environment_neither_breaks_nor_redirects_a_connection(joined: EmbeddedServer) -> None:
    def session_with(**environment: str) -> object:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            with isolation.connect(**joined.conninfo()) as connection:
                return connection.execute(
                    "SELECT current_user, current_database(), current_setting('TimeZone'), current_setting('DateStyle'),"
                    " current_setting('client_encoding'), current_setting('application_name'), current_setting('geqo')"
                ).fetchone()

    expected = ("jobnb", "jobnb", "UTC", "ISO, MDY", "UTF8", "jobnb", "on")
    for name, value in MISLEADING.items():
        assert session_with(**{name: value}) == expected, name
    assert session_with(**MISLEADING) == expected


def test_a_first_start_pays_no_heed_to_the_environment(fresh: Path) -> None:
    client = spawn(fresh, CONNECTED, **MISLEADING)
    try:
        assert hear(client) == "[('UTC', 'ISO, MDY', 'C')]"
    finally:
        end(client)


CONNECTED = """
import sys
from pathlib import Path
from sqlalchemy import text
from jobnb.db.database import Database
from jobnb.settings import Settings
database = Database(Settings.load(home=Path(sys.argv[1])))
print(database.run(lambda conn: [tuple(row) for row in conn.execute(text(
    "SELECT current_setting('TimeZone'), current_setting('DateStyle'), current_setting('lc_messages')"))]), flush=True)
database.close()
"""


def test_a_password_file_that_others_can_read_is_not_looked_at(
    tmp_path: Path, joined: EmbeddedServer, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    passwords = tmp_path / "pgpass"
    passwords.write_text("*:*:*:*:secret\n")
    passwords.chmod(0o644)
    monkeypatch.setenv("PGPASSFILE", str(passwords))
    isolation.connect(**joined.conninfo()).close()
    assert capfd.readouterr().err == ""


def test_a_service_that_exists_does_not_redirect(
    tmp_path: Path, joined: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "services").write_text("[prod]\nhost=192.0.2.1\nport=6000\ndbname=prod\nuser=bob\nsslmode=require\n")
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
    monkeypatch.setenv("PGSERVICE", "prod")
    with isolation.connect(**joined.conninfo()) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == ("jobnb",)


@pytest.mark.parametrize(
    ("variable", "value"), [("PGSERVICE", "no-such"), ("PGTZ", "Mars/Olympus"), ("PGDATESTYLE", "x"), ("PGGEQO", "x")]
)
def test_a_variable_that_libpq_obeys_in_any_case_is_named_when_it_breaks_the_connection(
    joined: EmbeddedServer, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    first = server_pid(joined)
    monkeypatch.setenv(variable, value)
    joined.ensure_running()
    with pytest.raises(ConfigurationError, match=f"variable {variable} keeps.*unset it"):
        isolation.connect(**joined.conninfo())
    assert server_pid(joined) == first


# -- one home is one home


def test_two_spellings_of_a_home_are_one_server_and_one_runtime(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert embedded_server(tmp_path / "link") is embedded_server(tmp_path / "real")
    assert embedded_server(tmp_path / "real" / ".." / "link") is embedded_server(tmp_path / "real")
    spellings = [Settings.load(home=tmp_path / name).home for name in ("link", "real", "link/../link")]
    assert set(spellings) == {Path(os.path.realpath(tmp_path / "real"))}


def test_closing_one_database_does_not_stop_the_server_under_another_of_the_same_process(shared: Path) -> None:
    first, second = Database(Settings(home=shared)), Database(Settings(home=shared))
    try:
        pids = [database.run(ask_for_pid) for database in (first, second)]
        first.close()
        assert second.run(ask_for_pid) == pids[1]
    finally:
        first.close()
        second.close()
    assert EmbeddedServer(shared).status().pid is None


def ask_for_pid(conn: Connection) -> object:
    return conn.exec_driver_sql("SELECT pg_backend_pid()").scalar()


# -- forks, signals, strangers


def test_a_child_forked_while_a_thread_starts_the_server_is_not_stuck(shared: Path) -> None:
    code = """
import os, signal, sys, threading
from pathlib import Path
from jobnb.db.embedded import embedded_server
server = embedded_server(Path(sys.argv[1]))
held, go_on = threading.Event(), threading.Event()
def hold():
    with server._lock:
        held.set()
        go_on.wait()
threading.Thread(target=hold).start()
held.wait()
child = os.fork()
if child == 0:
    signal.alarm(20)
    server.ensure_running()
    server.release()
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
go_on.set()
"""
    client = spawn(shared, code)
    try:
        assert hear(client) == "0"
    finally:
        end(client)


def test_a_process_that_only_names_our_data_is_not_taken_for_the_server(shared: Path) -> None:
    folders = locate(shared)
    server = EmbeddedServer(shared)
    for arguments in ([str(folders.data)], ["-D", str(folders.data)], [str(folders.data / "log")]):
        reader = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)", *arguments])
        try:
            note = folders.data / "postmaster.pid"
            note.write_text(f"{reader.pid}\n{folders.data}\n0\n5432\n\n\n")
            assert server.status().pid is None
            assert launcher.stop(folders)
            server.ensure_running()
            server.release()
            assert reader.poll() is None
        finally:
            end(reader)


def test_a_note_that_names_a_child_of_the_user_s_does_not_take_its_exit_code(shared: Path) -> None:
    server = EmbeddedServer(shared)
    child = subprocess.Popen(["sh", "-c", "exit 7"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    (locate(shared).data / "postmaster.pid").write_text(f"{child.pid}\n{locate(shared).data}\n0\n5432\n\n\n")
    assert server.status().pid is None
    server.ensure_running()
    server.release()
    assert child.wait() == 7


# -- disks


def test_a_disk_that_is_full_at_the_first_start_is_reported_with_words_and_leaves_nothing(fresh: Path) -> None:
    code = """
import resource, signal, sys
from pathlib import Path
from jobnb.db.embedded import EmbeddedServer
from jobnb.errors import ConfigurationError
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
try:
    EmbeddedServer(Path(sys.argv[1])).ensure_running()
except ConfigurationError as error:
    print(error, flush=True)
"""
    client = spawn(fresh, code)
    try:
        assert re.search(r"initdb could not make.*JOBNB_HOME.*DATABASE_URL", hear(client))
    finally:
        end(client)
    assert not list(locate(fresh).data.parent.glob("data*"))
    server = EmbeddedServer(fresh)
    server.ensure_running()
    assert ask(server, "SELECT 1") == 1
    server.release()


def test_a_home_where_nothing_can_be_written_is_refused_with_words() -> None:
    with pytest.raises(ConfigurationError, match=r"can't use /proc/jobnb.*DATABASE_URL"):
        EmbeddedServer(Path("/proc/jobnb")).ensure_running()
