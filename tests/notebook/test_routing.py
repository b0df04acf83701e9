"""Output where it belongs: under the cell that submitted the job, and in its log."""

from __future__ import annotations

import pytest
from kernel_driver import Kernel


@pytest.fixture(autouse=True)
def _names(kernel: Kernel) -> None:
    kernel.run(
        "import contextlib, io\nfrom concurrent.futures import ThreadPoolExecutor\n"
        "from IPython.display import HTML, clear_output, display"
    )


def logged(kernel: Kernel, job: str) -> str:
    return kernel.run(f"print({job}.logs())").text


def test_what_a_job_prints_lands_under_its_own_cell_while_others_run(kernel: Kernel) -> None:
    first = kernel.run(
        "def talk(word):\n    for n in range(8):\n        print(word, n)\n        time.sleep(0.1)\na = jobnb.submit(talk, 'one')"
    )
    second = kernel.run("b = jobnb.submit(talk, 'two')")
    third = kernel.run("for n in range(5):\n    print('cell', n); time.sleep(0.1)")
    kernel.run("a.result(); b.result()")
    kernel.wait_until(lambda: "one 7" in first.text and "two 7" in second.text)
    assert first.text == "".join(f"one {n}\n" for n in range(8))
    assert second.text == "".join(f"two {n}\n" for n in range(8))
    assert third.text == "".join(f"cell {n}\n" for n in range(5))
    assert logged(kernel, "b") == second.text


def test_logging_warnings_errors_and_child_threads_belong_to_the_job_too(kernel: Kernel) -> None:
    kernel.run("logging.basicConfig(level='INFO', force=True)")  # a handler that keeps today's stderr
    cell = kernel.run(
        "def work():\n"
        "    logging.getLogger('mine').info('logged')\n"
        "    print('on stderr', file=sys.stderr)\n"
        "    warnings.warn('careful')\n"
        "    child = threading.Thread(target=print, args=('from a child',)); child.start(); child.join()\n"
        "job = jobnb.submit(work)"
    )
    later = kernel.run("job.result()")
    kernel.wait_until(lambda: "from a child" in cell.text and "careful" in cell.text)
    for words in ("INFO:mine:logged", "on stderr", "careful", "from a child"):
        assert words in cell.text
    assert later.text == ""
    log = logged(kernel, "job")
    for words in ("INFO mine: logged", "on stderr", "careful", "from a child"):
        assert words in log


def test_a_pool_that_jobs_share_prints_for_the_job_that_asked(kernel: Kernel) -> None:
    kernel.run(
        "from concurrent.futures import ThreadPoolExecutor\npool = ThreadPoolExecutor(1)\ndef ask(word): pool.submit(print, word).result()"
    )
    first = kernel.run("a = jobnb.submit(ask, 'apple'); a.wait()")
    second = kernel.run("b = jobnb.submit(ask, 'pear'); b.wait()")
    third = kernel.run("pool.submit(print, 'no job').result()")
    kernel.wait_until(lambda: "pear" in second.text)
    assert (first.text, second.text, third.text) == ("apple\n", "pear\n", "no job\n")
    assert logged(kernel, "a") == "apple\n"


def test_display_lands_under_the_jobs_cell_and_is_noted_in_its_log(kernel: Kernel) -> None:
    cell = kernel.run(
        "from IPython.display import HTML, display\ndef show():\n    time.sleep(0.3)\n    display(HTML('<b>bold</b>'))\njob = jobnb.submit(show)"
    )
    kernel.run("time.sleep(0.6)")
    kernel.run("job.result()")
    shown = [output for output in kernel.outputs if output.data.get("text/html") == "<b>bold</b>"]
    assert [output.cell for output in shown] == [cell.number]
    assert "IPython.core.display.HTML" in logged(kernel, "job")


def test_a_cell_that_captures_its_output_gets_only_its_own(kernel: Kernel) -> None:
    cell = kernel.run(
        "def later():\n    time.sleep(0.5)\n    print('of the job'); display(HTML('<i>of the job</i>'))\n    time.sleep(0.4)\n    print('after')\njob = jobnb.submit(later)"
    )
    kernel.run("%%capture captured\nprint('of the cell'); time.sleep(0.8)")
    kernel.run(
        "import contextlib, io\nwith contextlib.redirect_stdout(io.StringIO()) as text:\n    print('redirected'); job.wait()"
    )
    kernel.wait_until(lambda: "after" in cell.text)
    assert (
        kernel.run("captured.stdout, len(captured.outputs), text.getvalue()").result
        == "('of the cell\\n', 0, 'redirected\\n')"
    )
    assert "of the job" in cell.text
    assert any("of the job" in output.data.get("text/html", "") for output in cell.outputs)
    assert logged(kernel, "job").splitlines()[0] == "of the job"


def test_a_job_that_redirects_its_output_does_not_take_that_of_cells(kernel: Kernel) -> None:
    kernel.run(
        "def capture():\n    with contextlib.redirect_stdout(io.StringIO()) as text:\n        print('mine'); time.sleep(0.6)\n    return text.getvalue()\njob = jobnb.submit(capture)"
    )
    cell = kernel.run("time.sleep(0.2); print('of the cell')")
    assert cell.text == "of the cell\n"
    assert kernel.run("job.result()").result == "'mine\\n'"


def test_clearing_the_output_leaves_the_card(kernel: Kernel) -> None:
    cell = kernel.run(
        "from IPython.display import clear_output\ndef redraw():\n    print('old'); clear_output(); print('new')\njob = jobnb.submit(redraw); job.wait(); time.sleep(0.3)"
    )
    kernel.wait_until(lambda: "new" in cell.text)
    kinds = [output.kind for output in cell.outputs]
    cleared = kinds.index("clear_output")
    assert "display_data" in kinds[cleared:], "the card is shown again"
    assert "new" in "".join(output.text for output in cell.outputs[cleared:])


def test_a_flood_of_lines_hurts_nobody(kernel: Kernel) -> None:
    cell = kernel.run("def flood():\n    for n in range(300_000): print('line', n)\njob = jobnb.submit(flood)")
    quick = kernel.run("1 + 1", seconds=5)
    assert quick.result == "2"
    kernel.run("job.result()", seconds=50)
    kernel.wait_until(lambda: "logs() has it" in cell.text)
    assert 100 < cell.text.count("\n") <= 202
    assert "print('line'" not in cell.text
    assert "299999" in logged(kernel, "job")


def test_a_flood_of_log_records_is_cut_off_too(kernel: Kernel) -> None:
    kernel.run("logging.basicConfig(level='INFO', force=True)")
    cell = kernel.run("def flood():\n    for n in range(2000): logging.info('record %d', n)\njob = jobnb.submit(flood)")
    kernel.run("job.result()")
    kernel.wait_until(lambda: "logs() has it" in cell.text)
    assert cell.text.count("record") <= 200
    assert "record 1999" in logged(kernel, "job")


def test_two_jobs_with_pyplot_do_not_mix(kernel: Kernel) -> None:
    code = (
        "import matplotlib.pyplot as plt\n"
        "def draw(count, title):\n"
        "    plt.title(title)\n"
        "    for n in range(count):\n"
        "        plt.plot([n, n + 1]); time.sleep(0.05)\n"
        "    return len(plt.gca().lines), plt.gca().get_title()\n"
        "a = jobnb.submit(draw, 3, 'three')"
    )
    first = kernel.run(code)
    second = kernel.run("b = jobnb.submit(draw, 5, 'five')")
    kernel.run("for _ in range(3): time.sleep(0.05)")  # the end of any cell shows and closes open figures
    values = kernel.run("a.result(), b.result(), plt.get_fignums()")
    assert values.result == "((3, 'three'), (5, 'five'), [])"
    for cell in (first, second):
        assert len([output for output in cell.outputs if "image/png" in output.data]) == 1
    assert not [output for output in values.outputs if "image/png" in output.data]
    mine = kernel.run("_ = plt.plot([1, 2])")
    assert [output for output in mine.outputs if "image/png" in output.data]
