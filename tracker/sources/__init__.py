"""Step 1: open a microphone, a file or a stream; out come `AudioChunk`s in time order.

`media.py` has the records and what a source is; the other files are one kind of source each.
"""
