"""What every step runs on and none of the domain: bounded edges, threads for models, the clock, control and signals.

Comes in: work and requests. Goes out: the same, in order, on time, with every drop counted. Nothing here knows what a
turn or an emotion is.
"""
