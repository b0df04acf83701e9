"""How what happens to jobs gets into the database: event -> spool -> queue -> one writer thread.

    events.py    what can happen to a job, as text made once: a line of the spool and a row of the statement
    intake.py    the door: events of all threads get their order, and are safe in the spool
    spool.py     the file that survives kill -9, line by line (lines.py)
    batch.py     many events about many jobs, merged to one record a job
    recorder.py  `Recorder`: the one thread that sends batches; everybody else uses only this
    writer.py    how a batch is sent, for ever if need be

Job threads never touch the database and never wait for it.
"""

from jobnb.recorder.events import Event, EventKind
from jobnb.recorder.recorder import Recorder

__all__ = ["Event", "EventKind", "Recorder"]
