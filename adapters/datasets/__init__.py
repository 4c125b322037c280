"""One file per data set; `records.py` is what they all give."""
