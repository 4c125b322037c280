"""How much memory the process holds."""

from __future__ import annotations

import psutil

_MB = 1 << 20


def rss_mb() -> float:
    """Resident memory of this process in MB (2**20 bytes)."""
    return float(psutil.Process().memory_info().rss) / _MB
