"""Step 3: `Turn`s in, `ObservedTurn`s out: what was said, by whom, and what voice and face gave to judge by.

`observe.py` runs the observers of one turn all at once; the other files are one observer each.
"""
