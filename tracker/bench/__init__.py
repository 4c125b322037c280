"""How fast, how dear and how steady the tracker is on this machine: ``tracker bench SOURCE...``.

Sources go through the real pipeline and through a naive one beside it; ratios come from one run, absolute figures hold
for one machine. `figures.py` is the records, `passes.py` runs one session and measures it, `naive.py` is the baseline,
`soak.py` watches hours of media, `bench.py` puts them together.
"""
