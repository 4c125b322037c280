"""Step 1: a microphone, a file or a stream in; `AudioChunk`s and `VideoFrame`s in time order out.

`media.py` and `video.py` have the records, `open.py` makes a source from the command line's argument; most other files
are one kind of source each. May touch: files, devices, standard input.
"""
