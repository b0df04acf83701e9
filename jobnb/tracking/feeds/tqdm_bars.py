"""tqdm in a job: every bar of it, `tqdm.auto`, `tqdm.notebook`, `trange`, `progress_apply`, subclasses included."""

from __future__ import annotations

import contextvars
import functools
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from jobnb.tracking.feeds.bars import Bar, current_job

if TYPE_CHECKING:
    from types import ModuleType

LONGEST_PAUSE = 0.1
"""Seconds between two looks of a loop at its job, at most, however seldom its bar would have been drawn."""


def patch(module: ModuleType) -> None:
    """Have `tqdm.std.tqdm` make bars that draw nothing where this is a job."""
    plain = module.tqdm
    make = plain.__new__

    @functools.wraps(make)
    def make_bar(cls: Any, *args: Any, **kwargs: Any) -> Any:
        if current_job() is None or kwargs.get("disable") or not _draws_here(cls, kwargs.get("file")):
            return make(cls, *args, **kwargs)
        # in no job's context: this may start tqdm's own thread, which lives on
        bar = contextvars.Context().run(make, cls, *args, **kwargs)
        bar.__class__ = _in_job(cls)
        return bar

    plain.__new__ = staticmethod(make_bar)


@functools.cache
def _in_job(cls: type) -> type:
    return type(cls.__name__, (JobBar, cls), {"__module__": cls.__module__, "__doc__": cls.__doc__})


def _draws_here(cls: Any, file: Any) -> bool:
    """False for a bar that shows itself elsewhere: in a file, in a chat, by rich. That is not ours to take away."""
    if cls.display.__module__ not in ("tqdm.std", "tqdm.notebook"):
        return False
    return file is None or any(file is one for one in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__))


_Bar: Any = object
"""Stands for the class that `JobBar` is mixed into."""


class JobBar(_Bar):
    """What a bar does differently in a job; mixed into the class that was called."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "disable" in kwargs and kwargs["disable"] is None:
            kwargs["disable"] = False  # "only on a terminal": here it is shown with the job
        if super().__init__.__module__ == "tqdm.notebook":
            kwargs["display"] = False
        self._bar: Bar | None = None
        super().__init__(*args, **kwargs)
        if self.disable:
            return
        # bars elsewhere in the process keep their places on the screen
        self._instances.discard(self)
        # no printer: closing the bar writes nothing
        self.sp = None
        self.miniters, self.dynamic_miniters = 0, False
        self.mininterval: float = min(self.mininterval, LONGEST_PAUSE)

    def display(self, *_: Any, **__: Any) -> None:
        """Tell the job instead of drawing."""
        bar = self._bar
        if bar is None:
            execution = current_job()
            if execution is None:
                return
            bar = self._bar = Bar(execution, self._written if self.unit_scale else None)
        bar.label, bar.done, bar.total = (self.desc or "").strip().rstrip(":"), self.n, self.total
        bar.note = str(self.postfix or "")
        bar.tell()

    def refresh(self, *args: Any, **kwargs: Any) -> Any:
        """Display, and stop here if the job is to stop."""
        shown = super().refresh(*args, **kwargs)
        if self._bar is not None:
            # not in display: tqdm holds its lock there
            self._bar.check_stop()
        return shown

    def clear(self, *_: Any, **__: Any) -> None:
        """There is nothing on the screen."""

    def close(self) -> None:
        """Tell how far it came; the outermost bar also leaves its last line in the log, as it would on a terminal."""
        bar = self._bar
        if bar is not None and not bar.is_closed:
            self.display()
            if self.leave and bar.is_outermost:
                bar.log(self.format_meter(**{**self.format_dict, "ncols": 80, "colour": None}))
            bar.close()
        super().close()

    @staticmethod
    def status_printer(*_: Any, **__: Any) -> Any:
        """No printer, and in a notebook no widget."""
        return _NoWidget()

    def _written(self, count: float) -> str:
        scale = 1 if self.unit_scale is True else self.unit_scale
        text: str = self.format_sizeof(count * scale, self.unit.strip() if self.unit != "it" else "", self.unit_divisor)
        return text


class _NoWidget:
    """Stands where tqdm.notebook keeps the widget of its bar; whatever is set on it is forgotten with it."""

    def __init__(self) -> None:
        self.style, self.layout = SimpleNamespace(), SimpleNamespace()
        self.children = (self, self, self)

    def __call__(self, *_: Any) -> None:
        """As a printer it prints nothing."""

    def _ipython_display_(self) -> None:
        """IPython shows nothing of it."""
