"""`python -m monitor`: every job of every kernel, live in a terminal, or as data for scripts.

From the top; each rests only on those below it:

    __main__                what to run: the terminal program, or output for scripts
    tui                     the terminal program; the only part that imports Textual, and it asks a `Source` only
    follow, once            what scripts get: every change, or what there is
    output, arguments       standard output and standard error; the command line
    postgres                `PostgresSource`: the `Source` that is not a test's
    walked, kept, ordered   lists of jobs: by place in the order of creation, searched for, in other orders
    actions, deeds          cancel, retry, delete: planned, done in batches, told, taken back
    board, stream           the header's numbers; jobs one after the other
    trail, places           lines and places of jobs in a list
    link                    the one object that talks to the database
    completion, conditions, formats
    filters, filter_words   the filter language
    source                  the `Source` protocol
    model, pace, terminal   what is shown, as plain values; how often; how text of a job becomes harmless

Every statement is in `jobnb.db.queries`.
"""
