"""What a job prints is its own, in scripts too: redirects, pools, and modules that are imported late."""

from __future__ import annotations

import contextlib
import io
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import jobnb
from jobnb.tracking.imports import when_imported

pytestmark = pytest.mark.usefixtures("client")


def test_a_redirect_in_a_job_takes_that_jobs_output_and_nobody_elses(capsys: pytest.CaptureFixture[str]) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def capture() -> str:
        with contextlib.redirect_stdout(io.StringIO()) as outer:
            print("outer")
            with contextlib.redirect_stdout(io.StringIO()) as inner:
                print("inner")
            inside.set()
            go_on.wait(5)
            print("after")
        print("not redirected")
        return outer.getvalue() + inner.getvalue()

    job = jobnb.submit(capture)
    assert inside.wait(5)
    print("of the caller")
    go_on.set()
    assert job.result(5) == "outer\nafter\ninner\n"
    assert "of the caller" in capsys.readouterr().out
    assert str(job.logs()) == "not redirected"


def test_a_redirect_outside_of_jobs_works_as_ever() -> None:
    jobnb.submit(print, "starts the capture").result(5)
    with contextlib.redirect_stdout(io.StringIO()) as text, contextlib.redirect_stderr(io.StringIO()) as errors:
        print("hello")
        print("oh", file=sys.stderr)
    assert (text.getvalue(), errors.getvalue()) == ("hello\n", "oh\n")


def test_a_shared_pool_prints_for_the_job_that_asked() -> None:
    with ThreadPoolExecutor(1) as pool:
        jobs = [jobnb.submit(lambda word=word: pool.submit(print, word).result()) for word in ("apple", "pear")]
        jobnb.wait(jobs, 5)
    assert [str(job.logs()) for job in jobs] == ["apple", "pear"]


def test_a_module_is_seen_when_somebody_imports_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "imported_late.py").write_text("answer = 42\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    seen: list[int] = []
    when_imported("imported_late", lambda module: seen.append(module.answer))
    assert seen == []
    import imported_late  # type: ignore[import-not-found]

    assert seen == [imported_late.answer]
    when_imported("imported_late", lambda module: seen.append(module.answer + 1))
    assert seen == [42, 43]
    monkeypatch.delitem(sys.modules, "imported_late")


def test_a_module_that_does_not_exist_still_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    when_imported("not_to_be_found_anywhere", lambda module: None)
    with pytest.raises(ModuleNotFoundError):
        import not_to_be_found_anywhere  # type: ignore[import-not-found]  # noqa: F401
