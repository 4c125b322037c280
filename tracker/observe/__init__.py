"""Step 3: `Turn`s in, `ObservedTurn`s out: the words, the speaker, the voice features and the face features.

`observe.py` runs the observers of one turn at the same time; the other files and `video/` are one observer each.
"""
