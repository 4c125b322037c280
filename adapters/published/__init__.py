"""MSE-Adapter trained and evaluated as its authors do: their data files in, a checkpoint and metrics out.

`data` reads a data set of the paper, `model` puts a fresh adapter beside a frozen LLM, `fit` trains it and keeps the
best epoch, `checkpoint` saves it.
"""
