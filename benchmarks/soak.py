"""Restarts, freezes, cuts and kills at random under load, for as long as wanted; at the end an audit.

Several processes submit jobs of many kinds to one server through a proxy. Meanwhile the server is restarted, frozen,
stopped, made read-only, robbed of its connections; the way to it is cut, slowed, swallowed; the processes are killed
with -9 and suspended. Then everything is put right, and the rows are held against what the processes were told, and
against what the database itself wrote down about every change of a status.

    python benchmarks/soak.py --minutes 10

The exit code is 0 only if nothing was lost, doubled, wrong or run twice. `lost` jobs are those whose process was killed
while they ran or waited: they have to read so, and nobody may have been told another end.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg

CHECKOUT = Path(__file__).parents[1]
sys.path.insert(0, str(CHECKOUT / "tests" / "tools"))

import audit  # noqa: E402 - the tools are beside the tests
from chaos_proxy import ChaosProxy, Mode  # noqa: E402
from private_server import PrivateServer  # noqa: E402

import jobnb  # noqa: E402
from jobnb.db.schema import schema_sql  # noqa: E402

WORKERS = 2
DATABASE = "soak"


class Worker:
    """A process that submits jobs, and is replaced when it is killed."""

    def __init__(self, folder: Path, url: str, home: Path) -> None:
        self._folder, self._url, self._home = folder, url, home
        self.kills = self._started = 0
        folder.mkdir()
        self._start()

    def _start(self) -> None:
        self._started += 1
        with (self._folder / "stderr").open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, str(CHECKOUT / "benchmarks" / "soak_worker.py"), str(self._started * 1_000_000)],
                cwd=self._folder, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=errors, text=True,
                env={**os.environ, "DATABASE_URL": self._url, "JOBNB_HOME": str(self._home),
                     "PYTHONPATH": str(CHECKOUT)},
            )  # fmt: skip

    def kill(self) -> None:
        """Kill it with -9 and start its successor."""
        self.process.kill()
        self.process.communicate()
        self.kills += 1
        self._start()

    def suspend(self, seconds: float) -> None:
        """Let it sleep."""
        self.process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self.process.send_signal(signal.SIGCONT)

    def finish(self) -> bool:
        """Let it end its jobs and itself; True if it did."""
        try:
            self.process.communicate("finish\n", timeout=300)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
        return self.process.returncode == 0

    def lines(self, name: str) -> list[str]:
        """What all its processes wrote into one of their files."""
        path = self._folder / name
        # the last line of a killed process may be torn
        return [line for line in path.read_text().splitlines() if line] if path.exists() else []


class Chaos:
    """What can go wrong. Each fault puts everything right again before it returns."""

    def __init__(self, server: PrivateServer, proxy: ChaosProxy, workers: list[Worker]) -> None:
        self._server, self._proxy, self._workers = server, proxy, workers
        self.counts: Counter[str] = Counter()
        self._faults: list[Callable[[], None]] = [
            self.restart_immediate, self.restart_fast, self.down, self.freeze, self.freeze_postmaster, self.black_hole,
            self.black_hole_and_cut, self.refuse, self.reset, self.cut, self.slow, self.terminate_backends,
            self.read_only, self.no_connection_left, self.kill_a_worker, self.suspend_a_worker, self.lose_an_answer,
        ]  # fmt: skip

    def strike(self) -> None:
        """Do one of them."""
        fault = random.choice(self._faults)
        self.counts[fault.__name__] += 1
        fault()

    def restart_immediate(self) -> None:
        self._server.restart("immediate")

    def restart_fast(self) -> None:
        self._server.restart("fast")

    def down(self) -> None:
        self._server.stop(random.choice(["fast", "immediate"]))
        time.sleep(random.uniform(0.2, 6))
        self._server.start()

    def freeze(self) -> None:
        self._server.freeze()
        time.sleep(random.uniform(0.2, 12))
        self._server.thaw()

    def freeze_postmaster(self) -> None:
        self._server.freeze_postmaster()
        self._proxy.cut()
        time.sleep(random.uniform(0.2, 5))
        self._server.thaw()

    def black_hole(self) -> None:
        with self._mode(Mode.BLACK_HOLE):
            time.sleep(random.uniform(0.2, 12))

    def black_hole_and_cut(self) -> None:
        with self._mode(Mode.BLACK_HOLE):
            time.sleep(random.uniform(0.2, 6))
            self._proxy.cut()

    def refuse(self) -> None:
        with self._mode(Mode.REFUSE):
            self._proxy.cut()
            time.sleep(random.uniform(0.2, 5))

    def reset(self) -> None:
        with self._mode(Mode.RESET):
            self._proxy.cut()
            time.sleep(random.uniform(0.2, 5))

    def cut(self) -> None:
        for _ in range(random.randint(1, 20)):
            self._proxy.cut()
            time.sleep(random.uniform(0, 0.1))

    def slow(self) -> None:
        self._proxy.latency, self._proxy.stalls = random.uniform(0.01, 0.2), 0.1
        time.sleep(random.uniform(1, 5))
        self._proxy.latency = self._proxy.stalls = 0.0

    def terminate_backends(self) -> None:
        self._server.terminate_backends()

    def read_only(self) -> None:
        self._server.ask(f"ALTER DATABASE {DATABASE} SET default_transaction_read_only = on")
        self._server.terminate_backends()
        time.sleep(random.uniform(0.5, 5))
        self._server.ask(f"ALTER DATABASE {DATABASE} RESET default_transaction_read_only")

    def no_connection_left(self) -> None:
        with contextlib.ExitStack() as stack:
            ends = time.monotonic() + random.uniform(0.5, 4)
            while time.monotonic() < ends:
                try:
                    stack.enter_context(psycopg.connect(self._server.url()))
                except psycopg.OperationalError:
                    time.sleep(0.05)

    def kill_a_worker(self) -> None:
        random.choice(self._workers).kill()

    def suspend_a_worker(self) -> None:
        random.choice(self._workers).suspend(random.uniform(0.5, 6))

    def lose_an_answer(self) -> None:
        self._proxy.lose_answer(random.choice([b"INSERT INTO jobs", b"UPDATE jobs", b"COMMIT\0"]))

    @contextlib.contextmanager
    def _mode(self, mode: Mode) -> Iterator[None]:
        self._proxy.mode = mode
        yield
        self._proxy.mode = Mode.PASS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=None, help="of the order of the faults")
    parser.add_argument("--keep", action="store_true", help="keep the folder with logs, files and the server's data")
    options = parser.parse_args()
    random.seed(options.seed)
    folder = Path(tempfile.mkdtemp(prefix="jobnb-soak-"))
    server = PrivateServer("fsync = on\n")
    proxy = ChaosProxy(("127.0.0.1", server.port))
    try:
        problems = soak(options.minutes * 60, folder, server, proxy)
    finally:
        proxy.stop()
        if options.keep:
            print(f"kept: {folder}, {server.folder}")
            server.stop()
        else:
            server.remove()
            shutil.rmtree(folder, ignore_errors=True)
    for problem in problems:
        print("WRONG:", problem)
    print("clean" if not problems else "NOT CLEAN")
    sys.exit(1 if problems else 0)


def soak(seconds: float, folder: Path, server: PrivateServer, proxy: ChaosProxy) -> list[str]:
    """Run the whole thing; what was wrong."""
    server.ask(f"CREATE DATABASE {DATABASE}")
    server.ask(schema_sql(), DATABASE)
    audit.install(server.url(DATABASE))
    url, home = server.url(DATABASE, port=proxy.port), folder / "home"
    workers = [Worker(folder / f"worker-{number}", url, home) for number in range(WORKERS)]
    chaos = Chaos(server, proxy, workers)
    began = reported = time.monotonic()
    while time.monotonic() - began < seconds:
        time.sleep(random.expovariate(1 / 2.0))
        chaos.strike()
        if time.monotonic() - reported > 60:
            reported = time.monotonic()
            print(f"{(reported - began) / 60:.0f} min: {sum(chaos.counts.values())} faults, "
                  f"{audit.report(server.url(DATABASE))}", flush=True)  # fmt: skip
    time.sleep(1)
    ended_well = [worker.finish() for worker in workers]
    return judge(url, home, server, workers, chaos, ended_well, time.monotonic() - began)


def judge(
    url: str, home: Path, server: PrivateServer, workers: list[Worker], chaos: Chaos, ended_well: list[bool],
    seconds: float,
) -> list[str]:  # fmt: skip
    """Have what the last dead process left stored, and hold all rows against all that was told."""
    os.environ["JOBNB_HOME"] = str(home)
    jobnb.configure(database_url=url)
    jobnb.jobs()
    accepted = [line for worker in workers for line in worker.lines("accepted")]
    ran = Counter(line for worker in workers for line in worker.lines("ran"))
    told = [line.split(" ", 2) for worker in workers for line in worker.lines("told")]
    with psycopg.connect(server.url(DATABASE)) as connection:
        rows = {
            str(job_id): (kind if kind in ("cancelled", "timeout", "lost") else status, result)
            for job_id, status, kind, result in connection.execute(
                "SELECT job_id, status::text, error_kind, result->'result' FROM jobs"
            )
        }
    report = audit.report(server.url(DATABASE))
    wrong = [
        f"job {job_id} was told {state} {value}, its row says {rows.get(job_id)}"
        for job_id, state, value in told
        if rows.get(job_id, ("", None))[0] != state or (state == "done" and json.dumps(rows[job_id][1]) != value)
    ]
    waits = [json.loads(line) for worker in workers for line in worker.lines("waits")]
    print(f"{seconds / 60:.1f} minutes, {sum(chaos.counts.values())} faults: "
          f"{', '.join(f'{count} x {name}' for name, count in sorted(chaos.counts.items()))}")  # fmt: skip
    print(f"{len(accepted)} accepted, {report.rows} rows: {report.done} done, {report.failed} failed as they should, "
          f"{report.lost} lost with {sum(worker.kills for worker in workers)} killed processes, "
          f"{report.unfinished} unfinished")  # fmt: skip
    print(f"{len(told)} ends were told; {report.doubled} doubled, {report.backward} backward, "
          f"{sum(count > 1 for count in ran.values())} run twice, {len(wrong)} wrong")  # fmt: skip
    for what in ("submit", "end"):
        print(f"longest wait of a {what}: {max((one[what] for one in waits), default=0) * 1000:.1f} ms")
    missing = audit.missing(server.url(DATABASE), accepted)
    problems = wrong[:10] + [f"{name} of a worker failed" for name in ("the end",) if not all(ended_well)]
    problems += [f"accepted and without a row: {job_id}" for job_id in list(missing)[:10]]
    problems += [f"run twice: {line}" for line, count in ran.items() if count > 1]
    if not report.is_clean:
        problems.append(str(report))
    return problems


if __name__ == "__main__":
    main()
