"""The header's two lines, without a terminal."""

from __future__ import annotations

import pytest
from fake_source import FakeSource

from monitor.tui.widgets import header


@pytest.mark.parametrize("forecast", ["nothing ends", "empty in 21:40:00", "ended lately"])
def test_both_lines_of_the_header_fit_every_width(forecast: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(header, "_forecast", lambda overview: forecast)
    source = FakeSource()
    for width in range(100, 220):
        lines = header.two_lines(source.overview(), source.link(), width, held=False)
        assert [line.cell_length for line in lines] == [width, width], (width, forecast)
