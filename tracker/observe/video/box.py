"""Boxes around faces. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in a picture, in pixels; may reach beyond its edges."""

    left: float
    top: float
    width: float
    height: float

    @property
    def area(self) -> float:
        """In square pixels."""
        return self.width * self.height

    @property
    def centre(self) -> tuple[float, float]:
        """X and y."""
        return self.left + self.width / 2, self.top + self.height / 2


def overlap(a: Box, b: Box) -> float:
    """Intersection over union, in [0, 1], whatever is lost in rounding."""
    wide = min(a.left + a.width, b.left + b.width) - max(a.left, b.left)
    high = min(a.top + a.height, b.top + b.height) - max(a.top, b.top)
    if wide <= 0 or high <= 0:
        return 0.0
    return min(1.0, wide * high / (a.area + b.area - wide * high))
