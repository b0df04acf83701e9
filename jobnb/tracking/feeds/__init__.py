"""Progress without being asked: the bars of tqdm and rich that a job makes are its progress.

    bars.py        the bars of one job: which of them is its fraction, what its message says
    tqdm_bars.py   what a tqdm bar does in a job
    rich_bars.py   what a rich `Progress` does in a job

A bar made in a job draws nothing: it is shown with the job. One made anywhere else is the library's own; only the
`__new__` of its class looks whether this is a job.
"""

from __future__ import annotations

from jobnb.tracking.feeds import bars, rich_bars, tqdm_bars
from jobnb.tracking.imports import when_imported

_PATCHES = {"tqdm.std": tqdm_bars.patch, "rich.progress": rich_bars.patch}


def switch(on: bool) -> None:
    """Follow the bars of jobs in this process, or leave them alone from now on.

    Neither library is imported by this: whoever imports one, before or after, in a job or outside, finds it followed.
    """
    bars.followed = on
    if on:
        while _PATCHES:
            when_imported(*_PATCHES.popitem())
