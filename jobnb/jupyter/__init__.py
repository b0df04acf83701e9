"""jobnb inside IPython and Jupyter: everything that knows a notebook. Nothing below this floor imports it.

magics.py   %%job, %jobs, %job, %cancel, %joblog
cell.py     the body of a %%job cell: compiled at the call, run in a job, its names published
loop.py     asyncio.run in cells
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jobnb.groups import JobGroup
    from jobnb.handle import JobHandle


def show(jobs: JobHandle[Any] | JobGroup[Any]) -> None:
    """Show a job, or the jobs of one `map`, under the cell that runs now; as lively as the front end allows."""
    from IPython.display import display

    display(jobs)
