"""Measures adapters: a checkpoint or a recipe and a data set in, metrics as JSON out.

Nothing here changes a checkpoint; what it fits for a comparison is thrown away.
"""
