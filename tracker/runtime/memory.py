"""How much memory the process holds, and keeping it low."""

from __future__ import annotations

import ctypes
import os
import platform

import psutil

_MB = 1 << 20
_ARENA_MAX = -8  # M_ARENA_MAX of glibc's malloc.h
_ARENAS = 2


def rss_mb() -> float:
    """Resident memory of this process in MB (2**20 bytes)."""
    return float(psutil.Process().memory_info().rss) / _MB


def share_heaps() -> None:
    """Let all threads share two heaps; to be called before they start. Does nothing where there is no glibc.

    glibc gives each thread a heap of its own, up to eight per core, and each keeps the most that its thread ever took:
    some 180 MB in a session. ``MALLOC_ARENA_MAX`` in the environment wins.
    """
    if platform.libc_ver()[0] == "glibc" and "MALLOC_ARENA_MAX" not in os.environ:
        ctypes.CDLL(None).mallopt(_ARENA_MAX, _ARENAS)
