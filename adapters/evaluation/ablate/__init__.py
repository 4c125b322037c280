"""Ablations: data in, Markdown tables of what each part of the adapter adds out.

Nothing is kept of what is fitted for them.
"""
