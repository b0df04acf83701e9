"""`%%capture` and `capture_output` get what their own code displays, not what jobs display meanwhile.

They put a publisher of their own in the place of the shell's, for the whole process, and other streams in the place of
`sys.stdout` and `sys.stderr`. Here each publisher remembers whose code made it; what others display passes it by.
"""

from __future__ import annotations

import functools
from typing import Any

from jobnb.tracking import capture
from jobnb.tracking.execution import current

_OWNER = "_jobnb_owner"


def install(publisher: Any) -> None:
    """Make capturing publishers know jobs.

    Args:
        publisher: the shell's own; what passes by goes there.
    """
    from IPython.core.displaypub import CapturingDisplayPublisher
    from IPython.utils.capture import capture_output

    make, publish, clear = (
        getattr(CapturingDisplayPublisher, name) for name in ("__init__", "publish", "clear_output")
    )

    @functools.wraps(make)
    def make_owned(self: Any, *args: Any, **kwargs: Any) -> None:
        make(self, *args, **kwargs)
        self.__dict__[_OWNER] = current.get()

    @functools.wraps(publish)
    def publish_own(self: Any, *args: Any, **kwargs: Any) -> Any:
        mine = self.__dict__.get(_OWNER) is current.get()
        return publish(self, *args, **kwargs) if mine else publisher.publish(*args, **kwargs)

    @functools.wraps(clear)
    def clear_own(self: Any, *args: Any, **kwargs: Any) -> Any:
        mine = self.__dict__.get(_OWNER) is current.get()
        return clear(self, *args, **kwargs) if mine else publisher.clear_output(*args, **kwargs)

    enter = capture_output.__enter__

    @functools.wraps(enter)
    def enter_and_look(self: Any) -> Any:
        captured = enter(self)
        capture.install()
        return captured

    capture_output.__enter__ = enter_and_look
    CapturingDisplayPublisher.__init__ = make_owned
    CapturingDisplayPublisher.publish = publish_own
    CapturingDisplayPublisher.clear_output = clear_own
