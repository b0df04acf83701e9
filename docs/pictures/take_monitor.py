"""Takes the monitor's pictures anew: a million rows, some jobs that run now, the real screens.

    python docs/pictures/take_monitor.py [--rows 1000000]

Needs chromium, which turns Textual's SVG screenshots into PNG.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import jobnb
from jobnb.api import default_service
from jobnb.settings import Settings
from monitor.postgres import PostgresSource
from monitor.tui.app import MonitorApp, Options
from monitor.tui.keymap import Preferences

FOLDER = Path(__file__).parent
ROWS = FOLDER.parents[1] / "benchmarks" / "monitor_rows.py"


def train(model: str, epochs: int) -> dict[str, float]:
    """A training as one watches it: a line now and then, a loss that falls."""
    print(f"{model}: 178 wines, 13 measurements, {epochs} epochs")
    for epoch in range(epochs):
        loss = 1.9 / (epoch + 2)
        jobnb.progress(epoch / epochs, f"epoch {epoch}/{epochs}, loss {loss:.3f}")
        if epoch % 3 == 0:
            print(f"epoch {epoch:3}  loss {loss:.4f}  accuracy {1 - loss / 3:.3f}")
        if model == "naive bayes" and epoch > 8:
            raise ValueError("covariance of class 2 is singular")
        time.sleep(0.15)
    return {"accuracy": 0.967}


async def take(settings: Settings, size: tuple[int, int], name: str, *keys: str) -> None:
    """One picture of the program after some keys."""
    app = MonitorApp(PostgresSource(settings), Options(settings.home, mouse=False), Preferences())
    async with app.run_test(size=size) as pilot:
        await pilot.pause(4)
        for key in keys:
            await pilot.press(key)
            await pilot.pause(1.5)
        picture = Path(tempfile.mkdtemp()) / "picture.svg"
        picture.write_text(app.export_screenshot(), encoding="utf-8")
    as_png(picture, FOLDER / f"{name}.png")


def as_png(picture: Path, target: Path) -> None:
    text = picture.read_text(encoding="utf-8")
    width, height = (float(part) for part in text.split('viewBox="0 0 ', 1)[1].split('"', 1)[0].split())
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
               f"--window-size={int(width)},{int(height)}", f"--screenshot={target}", picture.as_uri()]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)


async def take_all(settings: Settings) -> None:
    await take(settings, (150, 36), "monitor-jobs")
    await take(settings, (150, 36), "monitor-detail", *["down"] * 6, "enter", "l")
    await take(settings, (150, 30), "monitor-errors", "x")
    await take(settings, (60, 20), "monitor-narrow")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    home = Path(tempfile.mkdtemp(prefix="jobnb-pictures-"))
    jobnb.configure(home=home, max_workers=6)  # type: ignore[arg-type]
    runtime = default_service().runtime
    runtime.open()
    assert runtime.database.embedded is not None
    parts: dict[str, Any] = runtime.database.embedded.conninfo()
    url = f"postgresql://{parts['user']}@/{parts['dbname']}?host={parts['host']}"
    subprocess.run(
        [sys.executable, str(ROWS), "--rows", str(parser.parse_args().rows), "--database-url", url], check=True
    )
    models = ["nearest neighbours", "naive bayes", "random forest", "gradient boosting", "support vectors", "ridge"]
    with redirect_stdout(StringIO()):
        jobnb.map(wait, [0.1] * 160, job_type="score.wine", name="score a batch")
        time.sleep(6)
        for number in range(9):
            epochs = 250 - 20 * number
            jobnb.submit(train, models[number % 6], epochs, job_type="train.wine", name=f"{models[number % 6]} on wine")
        time.sleep(4)
        take_pictures(url, home)
    runtime.close()
    shutil.rmtree(home, ignore_errors=True)


def wait(seconds: float) -> None:
    """A job that only ends."""
    time.sleep(seconds)


def take_pictures(url: str, home: Path) -> None:
    asyncio.run(take_all(Settings.load(database_url=url, home=home)))


if __name__ == "__main__":
    main()
