"""The published method, trained and judged as its authors do: ``python -m adapters published train``.

In goes a data set of the paper's (`data`), asked of a frozen LLM with a fresh adapter (`model`); `fit` trains and keeps
the best epoch, `saved` writes the adapter down, and ``python -m adapters published evaluate`` judges it again.
"""
