"""jobnb inside IPython and Jupyter: everything that knows a notebook. Nothing below this floor imports it.

audience.py   what the core tells of new jobs: each goes on the board of its cell
board.py      the jobs of one cell, and what is to be seen of them
views.py      a board as HTML, as text, in a terminal; widgets.py: live, with Cancel
pump.py       the one thread that brings boards up to date; calm.py: cells get their turn while jobs compute
echo.py       what jobs print, under their cells; around.py: what they display; figures.py: pyplot for each job;
              captures.py: %%capture gets its own output only
remote.py     jobs of other processes, kept up to date while they are shown
tracebacks.py the user's own lines
shell.py      what is asked of IPython and ipykernel

magics.py     %%job, %jobs, %job, %cancel, %joblog; completion.py: what Tab offers on their lines
cell.py       the body of a %%job cell: compiled at the call, run in a job, its names published
rehome.py     the functions it defined see the notebook's names
loop.py       asyncio.run in cells
keyboard.py   input() is for cells
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jobnb.groups import JobGroup
    from jobnb.handle import JobHandle


def install() -> None:
    """Plug this IPython shell into the core's outlet, once. The core does so when it is first used in a shell."""
    from IPython import get_ipython

    from jobnb.display import outlet
    from jobnb.executors import failure
    from jobnb.jupyter import captures, figures, keyboard, tracebacks
    from jobnb.jupyter.around import Around
    from jobnb.jupyter.audience import Notebook
    from jobnb.jupyter.echo import Echo
    from jobnb.jupyter.shell import Shell
    from jobnb.tracking import capture

    ipython = get_ipython()
    if ipython is None or outlet.audience is not None:
        return
    shell = Shell(ipython)
    notebook = Notebook(shell)
    ipython.events.register("pre_run_cell", notebook.cell_begins)
    ipython.events.register("post_run_cell", notebook.cell_ends)
    tracebacks.install(ipython.InteractiveTB)
    if hasattr(ipython.compile, "format_code_name"):
        failure.readable = shell.name_cells
    if shell.is_kernel:
        capture.echo = Echo(shell)
        capture.around = Around(shell, notebook.cleared)
        figures.install()
        captures.install(ipython.display_pub)
        keyboard.refuse_in_jobs(ipython.kernel)
    outlet.audience = notebook


def show(jobs: JobHandle[Any] | JobGroup[Any]) -> None:
    """Show a job, or the jobs of one `map`, under the cell that runs now; as lively as the front end allows."""
    from IPython.display import display

    display(jobs)
