"""What every step runs on: bounded edges, threads for models, locks and queues, the clock, control and signals.

Work and requests in; the same in order out, with every drop counted. Nothing here depends on the domain.
"""
