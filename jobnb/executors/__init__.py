"""Where jobs run.

runner.py    what happens around every call, wherever it runs
ends.py      the events that tell how a job ended
force.py     stopping a function that does not listen
failure.py   what is kept of an exception
threads.py   the default: threads of this process
borrowed.py  an executor that the caller brought
"""
