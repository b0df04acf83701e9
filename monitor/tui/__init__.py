"""The monitor in a terminal: screens made of widgets, which draw what a `Source` gives and know no SQL.

`app.run` shows it in this terminal, `serve.serve` in a browser. Importing this package imports no Textual.

app          the program: what all screens share, the keys that work everywhere
screens      jobs, detail, errors, types, kernels, help, confirm, copy
widgets      the windowed table and what is around it
feed         threads that ask the source, and post what they read
messages     what is posted
acting       from a key to a plan, a question, an outcome, and back
commands     the command palette
keymap       every key, and the file that changes them
clipboard    how a text gets out of the terminal
themes, text the looks; how texts fit
"""
