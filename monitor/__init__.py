"""`python -m monitor`: every job of every kernel, live in a terminal, or as data for scripts.

__main__            arguments, and what to run: the terminal program, or `output`
tui                 the terminal program; the only part that imports Textual
output              --once, --json, --csv, --follow, --fail-if
actions             cancel, retry, delete: planned, done in batches, undone
postgres            the source of all that is shown: a `Source` over PostgreSQL
source              the `Source` protocol that the terminal program is built on
link                the one object that talks to the database
filters             the filter language
model, terminal     what is shown, as plain values; how text of a job becomes harmless
"""
