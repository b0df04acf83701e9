"""`%load_ext jobnb` in a real kernel: `%%job` and the line magics."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from kernel_driver import PYTHON, Cell, Kernel, running_kernel
from waiting import in_time


@pytest.fixture(scope="module")
def kernel(module_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """One kernel for this file, with the extension loaded and without cards."""
    folder = tmp_path_factory.mktemp("kernel")
    settings = {"DATABASE_URL": module_database, "JOBNB_HOME": str(folder / "home"), "JOBNB_DISPLAY": "none"}
    with running_kernel(folder, **settings) as running:
        assert running.run("%load_ext jobnb\nimport time, jobnb", 60).reply["status"] == "ok"
        yield running


def value(kernel: Kernel, code: str) -> object:
    """What an expression is in the kernel."""
    cell = kernel.run(code)
    assert cell.reply["status"] == "ok", cell.error + cell.text
    return eval(cell.result)


def job(kernel: Kernel, cell: str) -> Cell:
    """Run a `%%job` cell and wait for the end of its job."""
    ran = kernel.run(cell)
    assert ran.reply["status"] == "ok", ran.error + ran.text
    value(kernel, "_job.wait(20)")
    return ran


def raised(cell: Cell) -> str:
    """The name and the message of what a cell raised."""
    return f"{cell.reply['ename']}: {cell.reply['evalue']}"


def plain(text: str) -> str:
    """`text` without terminal colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def test_a_job_cell_publishes_its_names_and_shows_its_last_expression(kernel: Kernel) -> None:
    cell = job(kernel, "%%job -t analysis -n fit -o fit\nnumbers = range(5)\nprint('adding')\nsum(numbers)")
    assert (cell.text, cell.shown) == ("adding\n", ["10"])
    assert value(kernel, "fit is _job, fit.result(), list(numbers), fit.job.name, fit.job.job_type") == (
        True, 10, [0, 1, 2, 3, 4], "fit", "analysis",
    )  # fmt: skip


def test_the_cell_comes_back_while_the_job_runs(kernel: Kernel) -> None:
    assert kernel.run("%%job -o slow\nfor _ in jobnb.track(range(1000)):\n    time.sleep(0.02)").reply["status"] == "ok"
    assert value(kernel, "slow.done()") is False
    assert kernel.run("%cancel slow").text == f"job {value(kernel, 'slow.job.short_id')} is cancelled\n"
    assert value(kernel, "slow.wait(5), slow.job.state") == (True, "cancelled")


def test_a_semicolon_keeps_the_last_expression_to_itself(kernel: Kernel) -> None:
    assert job(kernel, "%%job\n6 * 7;  # the answer").shown == []
    assert value(kernel, "_job.result()") == 42


def test_a_failed_cell_publishes_nothing_and_keeps_the_lines_of_the_cell(kernel: Kernel) -> None:
    kernel.run("kept = 'before'")
    cell = job(kernel, "%%job\nkept = 'half done'\ndef deep(z):\n    return 1 / z\n\ndeep(0)")
    (told,) = cell.shown
    assert told.startswith("-----")
    assert "----> 6 deep(0)" in told
    assert told.endswith("ZeroDivisionError: division by zero")
    assert "jobnb/jupyter" not in told
    assert value(kernel, "kept, 'deep' in globals()") == ("before", False)
    shown = kernel.run("_job.result()").error
    assert re.search(r"Cell In\[\d+\], line 6\n", shown)
    assert "----> 6 deep(0)" in shown
    assert "----> 4     return 1 / z" in shown
    assert "jobnb/jupyter" not in shown
    assert "line 4, in deep" in str(value(kernel, "jobnb.get(str(_job.job_id)).refresh().traceback"))


def test_waiting_raises_what_the_cell_raised(kernel: Kernel) -> None:
    cell = kernel.run("%%job --wait\n{}['missing']")
    assert raised(cell) == "KeyError: 'missing'"
    assert "----> 2 {}['missing']" in cell.error
    assert "jobnb/jupyter" not in cell.error


def test_a_syntax_error_is_told_at_once_and_no_job_is_made(kernel: Kernel, module_database: str) -> None:
    with psycopg.connect(module_database) as connection:
        count = "SELECT count(*) FROM jobs"
        before = connection.execute(count).fetchone()
        cell = kernel.run("%%job\na = 1\nx = = 1")
        assert cell.reply["status"] == "error"
        assert re.fullmatch(
            r"  Cell In\[\d+\], line 3\n    x = = 1\n        \^\nSyntaxError: invalid syntax\n", cell.error
        )
        assert connection.execute(count).fetchone() == before


def test_a_body_may_await_and_loops_in_it_are_its_own(kernel: Kernel) -> None:
    cell = job(
        kernel,
        "%%job\nimport asyncio\nlate = await asyncio.sleep(0.01, 'late')\n"
        "[await asyncio.sleep(0.01, n) for n in range(3)]",
    )
    assert cell.shown == ["[0, 1, 2]"]
    assert value(kernel, "late, _job.result()") == ("late", [0, 1, 2])


def test_a_body_that_awaits_is_cancelled_while_it_waits(kernel: Kernel) -> None:
    kernel.run("%%job\nimport asyncio\nawait asyncio.sleep(60)")
    kernel.wait_until(lambda: value(kernel, "_job.running()"))
    value(kernel, "_job.cancel()")
    assert value(kernel, "_job.wait(3), _job.job.state") == (True, "cancelled")


def test_magics_and_shell_commands_work_inside(kernel: Kernel) -> None:
    cell = job(kernel, "%%job\nsaid = !echo hello\n%time total = sum(range(10))\nsaid[0], total")
    assert cell.shown == ["('hello', 45)"]
    assert "Wall time" in cell.text
    assert value(kernel, "total") == 45


def test_two_cells_at_once_do_not_share_their_variables(kernel: Kernel) -> None:
    loop = "seen = []\nfor i in range(5):\n    seen.append(i)\n    time.sleep(0.05)\n"
    first, second = [kernel.run(f"%%job -o {name}\n{loop}who = '{name}'\nseen") for name in ("one", "two")]
    assert value(kernel, "one.result(), two.result()") == ([0, 1, 2, 3, 4], [0, 1, 2, 3, 4])
    words = "jobnb: another cell changed i, seen, who while this one ran; the values are now this one's\n"
    kernel.wait_until(lambda: first.text + second.text == words)
    assert value(kernel, "who in ('one', 'two')") is True


def test_a_name_that_the_cell_does_not_assign_stays_what_another_cell_made_it(kernel: Kernel) -> None:
    kernel.run("untouched = 1\nimport threading\ngo = threading.Event()")
    kernel.run("%%job\ngo.wait(20)\ntouched = untouched")
    kernel.run("untouched = 2\ngo.set()")
    assert value(kernel, "_job.wait(5), touched, untouched") == (True, 1, 2)


def test_a_deleted_name_is_gone(kernel: Kernel) -> None:
    kernel.run("rubbish = 1")
    job(kernel, "%%job\ndel rubbish")
    assert value(kernel, "'rubbish' in globals()") is False


def test_functions_and_classes_of_a_job_cell_see_what_later_cells_assign(kernel: Kernel) -> None:
    job(
        kernel,
        "%%job\nfrom dataclasses import dataclass\n"
        "def later(scale: int = 2, *, plus: int = 1) -> int:\n    'Doc.'\n    return threshold * scale + plus\nalias = later\n"
        "@dataclass\nclass Model:\n    size: int\n    def fit(self): return threshold + self.size\n"
        "    @property\n    def half(self): return threshold / 2\n"
        "    @staticmethod\n    def plain(): return threshold\n    @classmethod\n    def make(cls): return cls(threshold)\n",
    )
    kernel.run("threshold = 10")
    assert value(
        kernel, "later(), later(1, plus=0), Model(1).fit(), Model(1).half, Model.plain(), Model.make().size"
    ) == (21, 10, 11, 5.0, 10, 10)
    assert value(kernel, "later is alias, later.__doc__, later.__module__, later.__annotations__ == {'scale': int, 'plus': int, 'return': int}") == (True, "Doc.", "__main__", True)  # fmt: skip


def test_a_job_that_is_kept_does_not_keep_the_objects_of_the_notebook(kernel: Kernel) -> None:
    kernel.run("import gc, weakref\nclass Big: pass\nbig = Big()\nbig_is = weakref.ref(big)")
    job(kernel, "%%job -o keeper\n1")
    assert value(kernel, "del big\ngc.collect()\nbig_is() is None, keeper.result()") == (True, 1)
    # nor does one that was cancelled before it began
    kernel.run(
        "jobnb.configure(max_workers=1)\nbusy = jobnb.submit(time.sleep, 0.5)\nbig = Big()\nbig_is = weakref.ref(big)"
    )
    kernel.run("%%job -o never\n1")
    assert value(kernel, "never.cancel(), never.wait(5)") == (True, True)
    kernel.run("jobnb.configure()\ndel big")
    assert value(kernel, "gc.collect()\nbig_is() is None, never.job.state") == (True, "cancelled")


def test_a_retry_works_on_the_names_as_they_are_then(kernel: Kernel) -> None:
    kernel.run("wanted = None")
    job(kernel, "%%job -o first\nwanted + 1")
    assert value(kernel, "wanted = 1\nagain = first.retry()\nagain.result()") == 2


def test_a_timeout_stops_the_cell(kernel: Kernel) -> None:
    kernel.run("%%job --timeout 0.2\nfor _ in jobnb.track(range(1000)):\n    time.sleep(0.02)")
    assert value(kernel, "_job.wait(5), _job.job.state") == (True, "timeout")


def test_a_hundred_thousand_names_do_not_hold_the_cell_up(kernel: Kernel) -> None:
    kernel.run("globals().update({f'name_{n}': n for n in range(100_000)})")
    began = time.monotonic()
    assert kernel.run("%%job\nname_7 + 1").reply["status"] == "ok"
    in_time(began, 5)
    assert value(kernel, "_job.result()") == 8
    kernel.run("for n in range(100_000): del globals()[f'name_{n}']")


def test_the_text_of_the_cell_is_kept_with_the_job(kernel: Kernel) -> None:
    job(kernel, "%%job -t etl\nimport time\n# load the table\nrows = 3")
    source = value(kernel, "jobnb.get(_job.job_id).refresh().source")
    assert isinstance(source, dict)
    assert source["text"].splitlines() == ["%%job -t etl", "import time", "# load the table", "rows = 3"]
    assert value(kernel, "_job.job.name") == "load the table"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--bogus", "unrecognized arguments: --bogus"),
        ("--timeout soon", "argument --timeout: invalid float value: 'soon'"),
        ("--timeout -3", "timeout is -3.0: give a positive number of seconds"),
        ("-n 'open", "No closing quotation"),
        ("-t ''", "job_type is '', an empty text"),
        ("-o 1x", "-o 1x: that is no name for a variable"),
        ("-o class", "-o class: that is no name for a variable"),
        ("-o x", "-o x: the cell itself assigns x"),
    ],
)
def test_a_wrong_option_is_told_in_one_line(kernel: Kernel, line: str, words: str) -> None:
    cell = kernel.run(f"%%job {line}\nx = 1")
    assert raised(cell).startswith(f"UsageError: {words}")
    assert cell.error == ""


@pytest.mark.parametrize("magic", ["%%job", "%job", "%jobs", "%cancel", "%joblog"])
def test_help_is_printed_and_nothing_runs(kernel: Kernel, magic: str) -> None:
    body = "\nraise SystemError" if magic == "%%job" else ""
    cell = kernel.run(f"{magic} --help{body}")
    assert cell.reply["status"] == "ok"
    usage = f"\n  {magic} [-"
    assert usage in cell.text
    (page,) = kernel.run(f"{magic}?").reply["payload"]
    assert usage in plain(page["data"]["text/plain"])


def test_jobs_lists_what_fits(kernel: Kernel) -> None:
    job(kernel, "%%job -t listed -n good\n1")
    job(kernel, "%%job -t listed -n bad\n1 / 0")
    assert value(kernel, "listed = %jobs -t listed\n[(one.name, one.state) for one in listed]") == [
        ("bad", "failed"), ("good", "done"),
    ]  # fmt: skip
    assert value(kernel, "listed = %jobs --failed -t listed\n[one.name for one in listed]") == ["bad"]
    assert value(kernel, "listed = %jobs done -t listed\n[one.name for one in listed]") == ["good"]
    assert value(kernel, "listed = %jobs -s good -t listed -n 1\n[one.name for one in listed]") == ["good"]
    kernel.run("%%job -t listed -n waiting -o waiting\nfor _ in jobnb.track(range(1000)):\n    time.sleep(0.02)")
    assert value(kernel, "listed = %jobs --active\n[one.name for one in listed]") == ["waiting"]
    shown = kernel.run("%jobs -t listed").shown[0]
    assert "bad" in shown
    assert value(kernel, "waiting.cancel()") is True
    assert raised(kernel.run("%jobs --active --failed")) == "UsageError: give one of STATUS, --active and --failed"
    assert raised(kernel.run("%jobs sleeping")).startswith("UsageError: status is 'sleeping': give one of scheduled")
    assert raised(kernel.run("%jobs -n -1")).startswith("UsageError: limit is -1")


def test_job_finds_a_job_by_id_and_by_variable(kernel: Kernel) -> None:
    job(kernel, "%%job -n sought -o sought\n5")
    for given in ("", "sought", "{sought.job.short_id}", "{sought.job_id}"):
        assert value(kernel, f"found = %job {given}\nfound.job_id == sought.job_id, found.result()") == (True, 5)
    assert "sought" in kernel.run("%job sought").shown[0]
    assert raised(kernel.run("%job ffffffff")).startswith("UsageError: no job ffffffff")
    assert raised(kernel.run("%job nonsense")).startswith("UsageError: job_id is 'nonsense'")


def test_cancel_says_what_it_did(kernel: Kernel) -> None:
    job(kernel, "%%job -o ended\n1")
    assert re.fullmatch(r"job \w{8} had ended already: done\n", kernel.run("%cancel ended").text)
    assert raised(kernel.run("%cancel")) == "UsageError: the following arguments are required: job"
    assert raised(kernel.run("%cancel ffffffff")).startswith("UsageError: no job ffffffff")


def test_joblog_prints_what_the_job_printed(kernel: Kernel) -> None:
    job(kernel, "%%job -o talker\nprint('one')\nprint('two')\nimport logging\nlogging.getLogger('x').error('three')")
    assert kernel.run("%joblog talker").text == "one\ntwo\nERROR x: three\n"
    assert kernel.run("%joblog talker -n 1").text == "ERROR x: three\n"
    assert kernel.run("%joblog talker -n 0").text == "(nothing was printed)\n"
    assert raised(kernel.run("%joblog -n -1")) == "UsageError: --lines is -1: give a number of lines"
    kernel.run("%%job -o counter\nfor n in range(3):\n    print(n)\n    time.sleep(0.05)")
    assert kernel.run("%joblog -f counter").text == "0\n1\n2\n"


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("%%job --", ["--type", "--name", "--timeout", "--out", "--wait", "--help"]),
        ("%%job --ti", ["--timeout"]),
        ("%%job -t an", ["analysis"]),
        ("%jobs --f", ["--failed"]),
        ("x = 1\n%jobs done -t a", ["analysis"]),
        ("%jobs fa", ["failed"]),
        ("%cancel findab", ["findable"]),
        ("%joblog --fo", ["--follow"]),
    ],
)
def test_completion_offers_what_fits_and_nothing_else(kernel: Kernel, typed: str, offered: list[str]) -> None:
    job(kernel, "%%job -o findable\n1")
    assert kernel.ask("complete", code=typed, cursor_pos=len(typed))["matches"] == offered


def test_completion_leaves_other_lines_alone(kernel: Kernel) -> None:
    assert kernel.ask("complete", code="%%job\njobnb.subm", cursor_pos=16)["matches"] == ["submit"]


def test_loading_twice_changes_nothing(kernel: Kernel) -> None:
    assert kernel.run("%reload_ext jobnb").reply["status"] == "ok"
    assert value(kernel, "sum(m.__name__ == 'jobnb_matcher' for m in get_ipython().Completer.custom_matchers)") == 1
    assert job(kernel, "%%job\n1").shown == ["1"]


def test_everything_works_in_plain_ipython_too(module_database: str, tmp_path: Path) -> None:
    code = (
        "%load_ext jobnb\n"
        "get_ipython().run_cell_magic('job', '--wait', 'a = 6\\nprint(\"in it\")\\na * 7')\n"
        "import asyncio\n"
        "print(a, asyncio.run(asyncio.sleep(0, 'ran')))\n"
        "%joblog\n"
    )
    settings = {"IPYTHONDIR": str(tmp_path), "DATABASE_URL": module_database, "JOBNB_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [PYTHON, "-m", "IPython", "--no-banner", "--colors=NoColor", "--simple-prompt", "-c", code],
        capture_output=True, text=True, timeout=50, env={**os.environ, **settings}, cwd=tmp_path, check=False,
    )  # fmt: skip
    lines = plain(done.stdout).splitlines()
    assert done.returncode == 0, done.stderr
    assert [line for line in lines if line in ("in it", "42", "6 ran")] == ["in it", "42", "6 ran", "in it", "42"]


def opened(kernel: Kernel, cell: Cell) -> int:
    """How many widgets a cell has made."""
    made = [message for message in kernel.messages if message["msg_type"] == "comm_open"]
    return sum(message["parent_header"].get("msg_id") == cell.message_id for message in made)


def test_a_bar_in_a_job_makes_no_widget(kernel: Kernel) -> None:
    cell = job(
        kernel,
        "%%job\nfrom tqdm.auto import tqdm\nclass Own(tqdm):\n    def __init__(self, items): super().__init__(items)\n"
        "for _ in tqdm(range(3), desc='outer'):\n    for _ in Own(range(2)): pass\nfrom rich.progress import track\n"
        "for _ in track(range(2)): pass",
    )
    assert cell.outputs == []
    assert opened(kernel, cell) == 0
    assert value(kernel, "_job.progress") == 1.0
    outside = kernel.run("from tqdm.auto import tqdm\nfor _ in tqdm(range(2), desc='outside'): pass")
    assert opened(kernel, outside) > 0


def test_a_job_that_asks_for_input_fails_instead_of_waiting_for_ever(kernel: Kernel) -> None:
    asks = "import threading\ngo = threading.Event()\n"
    kernel.run(f"{asks}job = jobnb.submit(lambda: go.wait(20) and input('name? '))")
    # answered or not: a cell runs meanwhile, which is when the kernel would ask
    assert value(kernel, "go.set()\njob.wait(5), job.job.error_message") == (
        True, "EOFError: a job has no keyboard: ask in a cell, and give the answer to the job",
    )  # fmt: skip


def test_methods_that_call_super_and_members_of_an_enumeration_are_moved_too(kernel: Kernel) -> None:
    job(
        kernel,
        "%%job\nimport enum\nclass Base:\n    def f(self): return 1\n"
        "class Child(Base):\n    def f(self): return super().f() + wanted_later\n"
        "class Color(enum.Enum):\n    RED = 1\n    def g(self): return wanted_later\n",
    )
    assert value(kernel, "wanted_later = 5\nChild().f(), Color.RED.g()") == (6, 5)
