"""Ablations: data in, Markdown tables of what each part of the adapter adds out (`python -m adapters.evaluation.ablate`)."""
