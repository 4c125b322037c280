"""Whether a picture changes at all: a photograph, a frozen camera or a slide shows no face that speaks. Pure.

A picture is compared with the first one of its like, cell by cell, so that noise of the coding adds up to nothing and
the smallest movement shows in time. Measured: a photograph as video, coded well and badly by four codecs, is still in
66 to 100 % of its frames; of faces on film, of 80 to 400 pixels, slowed down four times, coded at 50 kbit/s, none is.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

from tracker.observe.video.records import Stillness
from tracker.runtime.clock import NS_PER_S

CELLS = 64
"""A picture is compared in so many rows and columns of cells."""

STILL_NS = 2 * NS_PER_S
"""A picture that has not changed for so long is still: people move."""

_CHANGED = 6.0  # grey levels of one cell's mean


class StillnessMeter:
    """Follows the pictures of one session.

    A picture is taken for still until it has changed twice within `STILL_NS`: so are the slides of a talk.
    """

    def __init__(self) -> None:
        self._like: Float32[np.ndarray, "cells cells"] | None = None
        self._since_ns = 0
        self._moves = False

    def feed(self, cells: Float32[np.ndarray, "cells cells"], at_ns: int) -> Stillness:
        """The stillness of the next picture.

        Args:
            cells: The mean grey level of each cell.
            at_ns: Media time.
        """
        if self._like is None:
            self._like, self._since_ns = cells, at_ns
        elif float(np.abs(cells - self._like).max()) > _CHANGED:
            self._moves = at_ns - self._since_ns < STILL_NS
            self._like, self._since_ns = cells, at_ns
        elif at_ns - self._since_ns >= STILL_NS:
            self._moves = False
        return Stillness(self._since_ns, self._moves)
