"""tqdm and rich in a job are its progress; outside of jobs they are what they were."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pandas as pd
import pytest
import rich.progress
import tqdm
import tqdm.asyncio
import tqdm.auto
import tqdm.notebook
from rich.console import Console
from test_outside import run_elsewhere

import jobnb
from jobnb.handle import JobHandle
from jobnb.tracking import feeds

Seen = list[tuple[float | None, str | None]]


@pytest.fixture(autouse=True)
def _followed(client: str) -> Iterator[None]:
    yield
    feeds.switch(False)


@pytest.fixture
def look() -> Callable[[], None]:
    """What a loop calls to have its job looked at; what was seen is in `look.seen`."""
    seen: Seen = []

    def note() -> None:
        job = jobnb.current_job()
        assert job is not None
        seen.append((job.progress, job.job.progress_message))

    note.seen = seen  # type: ignore[attr-defined]
    return note


def step(bar: Any, look: Callable[[], None]) -> None:
    """Loop over a bar of which every step is drawn."""
    for _ in bar:
        time.sleep(0.001)
        look()


BARS = {
    "tqdm": lambda n: tqdm.tqdm(range(n), mininterval=0, desc="fit"),
    "trange": lambda n: tqdm.trange(n, mininterval=0, desc="fit"),
    "tqdm.auto": lambda n: tqdm.auto.tqdm(range(n), mininterval=0, desc="fit"),
    "tqdm.notebook": lambda n: tqdm.notebook.tqdm(range(n), mininterval=0, desc="fit", colour="green"),
    "only on a terminal": lambda n: tqdm.tqdm(range(n), mininterval=0, desc="fit", disable=None),
    "seldom": lambda n: tqdm.tqdm(range(n), mininterval=0, miniters=1000, desc="fit"),
}


@pytest.mark.parametrize("kind", BARS)
def test_a_tqdm_bar_is_the_jobs_progress_and_draws_nothing(
    kind: str, look: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    job = jobnb.submit(lambda: step(BARS[kind](4), look))
    job.result()
    assert look.seen == [(n / 4, f"fit {n}/4") for n in range(4)]
    assert (job.progress, job.job.progress_message) == (1.0, "fit 4/4")
    assert capfd.readouterr() == ("", "")


def test_the_last_line_of_the_outermost_bar_stays_in_the_log() -> None:
    def fit() -> None:
        for _ in tqdm.trange(3, desc="epoch"):
            for _ in tqdm.trange(2, desc="batch"):
                pass

    job = jobnb.submit(fit)
    job.result()
    lines = [line.line for line in job.logs()]
    assert len(lines) == 1
    assert lines[0].startswith("epoch: 100%|")


def test_the_outer_bar_is_the_fraction_and_the_inner_one_is_told(look: Any) -> None:
    def fit() -> None:
        for _ in tqdm.tqdm(range(2), desc="epoch", mininterval=0):
            inner = tqdm.tqdm(range(2), desc="batch", mininterval=0, leave=False)
            for _ in inner:
                inner.set_postfix(loss=0.25)
                look()

    jobnb.submit(fit).result()
    assert look.seen == [
        (0.0, "epoch 0/2 · batch 0/2, loss=0.25"),
        (0.0, "epoch 0/2 · batch 1/2, loss=0.25"),
        (0.5, "epoch 1/2 · batch 0/2, loss=0.25"),
        (0.5, "epoch 1/2 · batch 1/2, loss=0.25"),
    ]


def test_without_a_total_there_is_a_count_and_no_fraction(look: Any) -> None:
    jobnb.submit(lambda: step(tqdm.tqdm(iter(range(2)), mininterval=0), look)).result()
    assert look.seen == [(None, "0"), (None, "1")]


def test_a_bar_by_hand_counts_in_bytes(look: Any) -> None:
    def load() -> None:
        with tqdm.tqdm(total=4_000_000, unit="B", unit_scale=True, desc="load", mininterval=0) as bar:
            for _ in range(2):
                bar.update(1_000_000)
                look()

    jobnb.submit(load).result()
    assert look.seen == [(0.25, "load 1.00MB/4.00MB"), (0.5, "load 2.00MB/4.00MB")]


def test_a_bar_of_pandas_is_the_jobs_progress(look: Any) -> None:
    tqdm.auto.tqdm.pandas(desc="rows", mininterval=0)

    def double(number: int) -> int:
        look()
        return number * 2

    assert jobnb.submit(lambda: list(pd.Series([1, 2, 3, 4]).progress_apply(double))).result() == [2, 4, 6, 8]
    assert look.seen == [(n / 4, f"rows {n}/4") for n in range(1, 5)]


async def test_a_bar_over_coroutines_is_the_jobs_progress() -> None:
    async def work() -> list[int]:
        waiting = [tqdm.asyncio.tqdm(iter(()), disable=True)] and [_later(n) for n in range(3)]
        return [await one for one in tqdm.asyncio.tqdm.as_completed(waiting, desc="all")]

    job = jobnb.submit(work)
    assert sorted(await job) == [0, 1, 2]
    assert (job.progress, job.job.progress_message) == (1.0, "all 3/3")


async def _later(number: int) -> int:
    return number


def test_a_subclass_with_methods_of_its_own_is_followed(look: Any) -> None:
    class UpTo(tqdm.auto.tqdm):
        def __init__(self, total: int) -> None:
            super().__init__(total=total, mininterval=0)

        def up_to(self, block: int) -> None:
            self.update(block - self.n)

    def load() -> bool:
        with UpTo(10) as bar:
            bar.up_to(5)
            look()
            bar.reset()
            return isinstance(bar, UpTo)

    assert jobnb.submit(load).result() is True
    assert look.seen == [(0.5, "5/10")]


def test_a_bar_that_shows_itself_elsewhere_is_left_alone() -> None:
    class Chat(tqdm.tqdm):
        said: ClassVar[list[int]] = []

        def display(self, *_: Any, **__: Any) -> None:
            self.said.append(self.n)

    file = io.StringIO()

    def work() -> None:
        for _ in tqdm.tqdm(range(2), file=file, mininterval=0):
            pass
        for _ in Chat(range(2), mininterval=0):
            pass

    job = jobnb.submit(work)
    job.result()
    assert "100%" in file.getvalue()
    assert Chat.said[-1] == 2
    assert job.progress is None


def test_what_the_function_says_itself_wins() -> None:
    def work() -> None:
        jobnb.progress(0.1, "own words")
        for _ in tqdm.trange(5):
            pass

    def tracked() -> None:
        for _ in jobnb.track(range(2), description="own"):
            for _ in tqdm.trange(5):
                pass

    job, other = jobnb.submit(work), jobnb.submit(tracked)
    job.result(), other.result()
    assert (job.progress, job.job.progress_message) == (0.1, "own words")
    assert (other.progress, other.job.progress_message) == (1.0, "own 2/2")


def test_a_message_alone_does_not_silence_the_bars() -> None:
    def work() -> None:
        jobnb.progress(None, "loading")
        for _ in tqdm.trange(5):
            pass

    job = jobnb.submit(work)
    job.result()
    assert job.progress == 1.0


ENDLESS = {
    "tqdm": lambda: tqdm.tqdm(range(10**9)),
    "rarely drawn": lambda: tqdm.tqdm(range(10**9), mininterval=600),
    "rich": lambda: rich.progress.track(range(10**9)),
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_a_loop_with_a_bar_can_be_cancelled_and_runs_out_of_time(kind: str) -> None:
    def work() -> None:
        for _ in ENDLESS[kind]():
            pass

    job = jobnb.submit(work)
    while not job.running():
        time.sleep(0.01)
    job.cancel()
    assert job.wait(5)
    assert job.job.state == "cancelled"
    job = jobnb.submit(work, timeout=0.1)
    assert job.wait(5)
    assert job.job.error_message == "timed out after 0.1 s; the function has stopped"
    # neither library was left with its lock held
    assert list(tqdm.tqdm(range(2), disable=True)) == [0, 1]
    for _ in tqdm.tqdm(range(1), file=io.StringIO()):
        pass


def test_bars_elsewhere_keep_their_place_on_the_screen() -> None:
    go, ready = threading.Event(), threading.Event()

    def work() -> None:
        bar = tqdm.tqdm(total=2)
        ready.set()
        go.wait(20)
        bar.close()

    job = jobnb.submit(work)
    ready.wait(20)
    with tqdm.tqdm(total=1, file=io.StringIO()) as bar:
        assert bar.pos == 0
        assert type(bar) is tqdm.tqdm
    go.set()
    job.result()


def test_outside_of_jobs_everything_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    jobnb.submit(int).result()
    for _ in tqdm.tqdm(range(2), desc="outside"):
        pass
    assert "outside: 100%" in capsys.readouterr().err
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    assert list(rich.progress.track(range(2), "outside", console=console)) == [0, 1]
    assert "outside" in console.file.getvalue()  # type: ignore[attr-defined]
    assert type(rich.progress.Progress()) is rich.progress.Progress


def test_a_bar_of_rich_is_the_jobs_progress_and_draws_nothing(look: Any, capfd: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        for _ in rich.progress.track(range(3), "[red]fit[/red]"):
            time.sleep(0.11)
            look()

    job = jobnb.submit(work)
    job.result()
    assert look.seen == [(n / 3, f"fit {n}/3") for n in range(3)]
    assert (job.progress, job.job.progress_message) == (1.0, "fit 3/3")
    assert capfd.readouterr() == ("", "")


def test_the_task_with_a_total_is_the_fraction_and_the_others_are_told(look: Any) -> None:
    def work() -> None:
        with rich.progress.Progress() as display:
            outer, inner = display.add_task("files", total=2), display.add_task("bytes", total=None)
            for _ in range(2):
                display.update(inner, advance=512)
                display.advance(outer)
                display.refresh()
                time.sleep(0.11)
                look()

    job = jobnb.submit(work)
    job.result()
    assert look.seen[1] == (0.5, "files 1/2 · bytes 1,024")
    assert job.job.progress_message == "bytes 1,024"


def test_it_can_be_switched_off(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def fit() -> str:
        for _ in tqdm.tqdm(range(2), desc="plain"):
            pass
        return type(rich.progress.Progress()).__mro__[0].__module__

    jobnb.configure(auto_progress=False)
    job: JobHandle[str] = jobnb.submit(fit)
    job.result()
    assert job.progress is None
    assert "plain: 100%" in capsys.readouterr().err
    monkeypatch.setenv("JOBNB_AUTO_PROGRESS", "off")
    jobnb.configure()
    job = jobnb.submit(fit)
    job.result()
    assert job.progress is None
    with pytest.raises(jobnb.ConfigurationError, match="auto_progress is 'maybe': give true or false"):
        jobnb.configure(auto_progress="maybe")


def test_what_is_imported_in_the_job_is_followed_and_nothing_is_imported_for_it() -> None:
    code = """
import jobnb, sys
jobnb.submit(int).result()
before = [name for name in ("tqdm", "rich.progress") if name in sys.modules]
def fit():
    from tqdm.auto import tqdm
    for _ in tqdm(range(3), desc="fit"):
        pass
    from rich.progress import track
    for _ in track(range(2), "more"):
        pass
job = jobnb.submit(fit)
job.result()
print(before, job.progress, job.job.progress_message, job.logs()[0].line[:9])
"""
    assert run_elsewhere(code) == "[] 1.0 more 2/2 fit: 100%\n"
