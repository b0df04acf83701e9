"""The command line: `jobnb` and `python -m jobnb`. Data goes to standard output, everything else to standard error.

Exit codes: 0 done; 1 the answer is no (nothing to cancel, a job failed, something is wrong); 2 the call can't be
right; 3 the database can't be reached; 4 no such job; 5 the output can't be written.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and leave the interpreter with its exit code."""
    from jobnb.cli.commands import cli
    from jobnb.cli.exits import exit_code
    from jobnb.stdout import standard_output

    with standard_output("jobnb"):
        try:
            code = cli.main(standalone_mode=False)
        except Exception as error:
            code = exit_code(error)
    sys.exit(code if isinstance(code, int) else 0)
