"""Data sets: a folder as its authors publish it in, records with class ids out.

Each file states the splits, labels, licence, quirks and row counts of its set, and counts the rows that it refuses.
"""
