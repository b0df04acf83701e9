"""Where jobs run.

runner.py    what happens around every call, wherever it runs
force.py     stopping a function that does not listen
failure.py   what is kept of an exception
threads.py   the default: threads of this process
"""
