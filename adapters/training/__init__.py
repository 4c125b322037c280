"""Fits adapters: data sets and a recipe in, a checkpoint and its metrics out.

What the frozen models make of the data is kept in the user's cache, within a bound. The frozen models stay as they are.
"""
