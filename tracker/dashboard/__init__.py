"""The live dashboard: events and gauges in, keys in, lines of text out.

`view` folds events; `screen` adds what the user has chosen; `panels` and `layout` draw; `painter` puts the lines on the
terminal, and `keyboard` reads its keys. Nothing but the last two touches a terminal.
"""
