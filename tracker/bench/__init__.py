"""Speed, cost and stability on this machine: ``tracker bench SOURCE...``.

Sources go through the real pipeline and through a naive one beside it; ratios come from one run, absolute figures hold
for one machine. `measure.py` runs and measures a session, `naive.py` is the baseline, `soak.py` loops hours of media,
`results.py` has the records and summaries, `bench.py` puts them together.

Programs of their own, for one part each: ``python -m tracker.bench.endpoints`` (fixed and adaptive endpoints),
``python -m tracker.bench.short_window`` (words from a short window against 30 s) and ``python -m
tracker.bench.video_cost`` (processor time of the video). May touch: files, models, the terminal.
"""
