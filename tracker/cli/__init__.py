"""The command line: words in, one session or one answer out, and an exit code. Each command is thin."""

import os

# Threads that wait for work sleep. By default those of CTranslate2 and PyTorch keep their cores busy: with two
# threads, hearing a turn took four times the processor time, and longer wherever something else ran.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# numpy's products here are small. Its second thread gains nothing by them, and keeps its core busy for a while after
# each: the encoder's and the prosody's processor time was twice what it is with one.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
