"""`python -m jobnb`: the command line."""

from jobnb.cli import main

main()
