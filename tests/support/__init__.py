"""What several tests share: fakes, real brokers, terminals and devices, and small made-up media and sessions."""

from pathlib import Path

TOP = Path(__file__).parents[2]
"""The checkout."""
