"""What threads post to the program: something that was read, or that it could not be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from jobnb.errors import JobnbError
    from monitor.model import ErrorReport, KernelRow, LogPage, Overview, TypeReport, Window
    from monitor.tui.feed import DetailRead, WindowWish


class WindowRead(Message):
    """Lines of the list were read, for a wish that may be old by now."""

    def __init__(self, wish: WindowWish, window: Window) -> None:
        super().__init__()
        self.wish = wish
        self.window = window


class OverviewRead(Message):
    """The header's numbers were read."""

    def __init__(self, overview: Overview) -> None:
        super().__init__()
        self.overview = overview


class DetailArrived(Message):
    """A job was read, or what was added to its log."""

    def __init__(self, read: DetailRead) -> None:
        super().__init__()
        self.read = read


class ReportRead(Message):
    """A report was read."""

    def __init__(self, report: ErrorReport | TypeReport | list[KernelRow]) -> None:
        super().__init__()
        self.report = report


class LogBefore(Message):
    """Earlier lines of a log were read."""

    def __init__(self, job_id: object, page: LogPage) -> None:
        super().__init__()
        self.job_id = job_id
        self.page = page


class ReadFailed(Message):
    """Something could not be read; the link tells whether that is the database's fault."""

    def __init__(self, what: str, error: JobnbError) -> None:
        super().__init__()
        self.what = what
        self.error = error


class ThreadBroke(Message):
    """A thread met a fault of the program itself."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error
