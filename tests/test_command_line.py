"""The command line: what it says about itself, and the exit codes that scripts rely on."""

from __future__ import annotations

import sys

import pytest

import jobnb
from jobnb.cli import main


def exit_code(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["jobnb", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def fail() -> None:
    raise ValueError("no")


@pytest.mark.usefixtures("client")
def test_show_answers_with_its_exit_code_whether_a_job_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    failed, done = jobnb.submit(fail), jobnb.submit(len, "ab")
    jobnb.wait([failed, done], 10)

    assert exit_code(monkeypatch, "show", str(failed.job_id)) == 1
    assert exit_code(monkeypatch, "show", str(done.job_id), "--json") == 0
    assert exit_code(monkeypatch, "show", "0" * 8) == 4
    assert exit_code(monkeypatch, "cancel", str(done.job_id)) == 1


def test_help_tells_the_exit_codes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(monkeypatch, "--help") == 0
    told = capsys.readouterr().out
    assert all(f"\n    {code}  " in told for code in range(6))
    assert "show found a failed job" in told

    assert exit_code(monkeypatch, "show", "--help") == 0
    assert "Exits with 1 if it failed, with 0 if it is done or has not ended" in capsys.readouterr().out
