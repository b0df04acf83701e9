"""The monitor in a terminal: screens made of widgets, which draw what a `Source` gives and know no SQL.

`app.run` shows it in this terminal, `serve.serve` in a browser. Importing this package imports no Textual.

app          the program: its pages, and what they share
acting       from a key to a plan, a question, an outcome, and back; copying
screens      jobs (with marking), detail, errors, types, kernels (all a report), help, confirm, copy
listing      which list is on screen, and how what was read of it gets into the table
widgets      the windowed table (rows, columns, table_view, virtual_table) and what is around it
feed, pace   threads that ask the source, and post what they read; how often they do
messages     what is posted
commands     the command palette
keymap       every key, and the file that changes them
clipboard    how a text gets out of the terminal
themes, text the looks; how texts fit
"""
