"""The dashboard in the terminal.

In: events, gauges and keys. Out: lines of text, and requests to the session. `view` folds events; `screen` adds what
the user has chosen; `panels`, `conversation` and `layout` draw; `player` replays a recording; `terminal` is the sink
that runs it all. Only `painter` and `keyboard` touch a terminal.
"""
