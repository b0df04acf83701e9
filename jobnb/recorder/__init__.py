"""How what happens to jobs gets into the database: event -> spool -> queue -> one writer thread.

    events.py    what can happen to a job, as text made once: a line of the spool and a row of the statement
    spool.py     the file that survives kill -9
    batch.py     many events about many jobs, merged to one record a job
    writer.py    the thread that sends batches, for ever if need be
    recorder.py  `Recorder`: the door to all of it; everybody else uses only this

Job threads never touch the database and never wait for it.
"""

from jobnb.recorder.events import Event, EventKind
from jobnb.recorder.recorder import Recorder

__all__ = ["Event", "EventKind", "Recorder"]
